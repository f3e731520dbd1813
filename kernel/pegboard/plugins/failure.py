"""What a plugin's code did wrong on its own."""

from typing import Literal

import msgspec

__all__ = ("Cause", "Failure")

Cause = Literal["import", "hook", "startup", "health"]


class Failure(msgspec.Struct, frozen=True):
    """What a plugin did wrong, which puts it into quarantine."""

    cause: Cause
    reason: str
    version: str = ""
