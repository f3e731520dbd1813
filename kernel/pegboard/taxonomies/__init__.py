"""Taxonomies: what plugins bring is seeded once, shared by all tenants, and read by whoever tags things."""
