"""Maintenance mode: the platform answers that it will be back, while its operators work on it."""
