"""A Pegboard plugin that congratulates providers on what they publish."""
