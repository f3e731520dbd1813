"""The creation_studio plugin of Pegboard."""
