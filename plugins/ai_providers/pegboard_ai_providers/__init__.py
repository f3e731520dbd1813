"""The ai_providers plugin of Pegboard."""
