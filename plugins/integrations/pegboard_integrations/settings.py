"""The plugin's settings."""

from typing import Annotated

import msgspec

__all__ = ("Settings",)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`retention_days`: how long deliveries are kept for looking at and replaying."""

    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 90
