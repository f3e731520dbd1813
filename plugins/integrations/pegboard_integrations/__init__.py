"""The integrations plugin of Pegboard."""
