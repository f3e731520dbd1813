"""The governance plugin of Pegboard."""
