"""Tenants, their host names, and the organisations inside a tenant."""
