"""The finance plugin of Pegboard."""
