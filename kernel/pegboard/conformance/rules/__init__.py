"""The rules, a module a theme."""
