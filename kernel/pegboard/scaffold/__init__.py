"""`pegboard plugins new`: a complete project to begin a plugin with."""
