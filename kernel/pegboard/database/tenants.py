"""The tenant that every installation has."""

from uuid import UUID

__all__ = ("DEFAULT_TENANT",)

DEFAULT_TENANT = UUID("00000000-0000-7000-8000-000000000001")
"""A single-tenant installation uses it and never notices; the first migration creates it."""
