"""Identifiers: UUIDv7 (RFC 9562), so that keys sort by the time they were made."""

from uuid import UUID

import uuid_utils.compat

__all__ = ("new_id",)


def new_id() -> UUID:
    """A new UUIDv7."""
    return uuid_utils.compat.uuid7()
