"""The rules of gigs and orders."""
