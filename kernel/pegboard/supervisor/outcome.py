"""What the preparing process tells the supervisor."""

from collections.abc import Mapping, Sequence

import msgspec

__all__ = ("Administrator", "Outcome")


class Administrator(msgspec.Struct, frozen=True):
    """The first administrator, just made. `password` is None where it was configured, and so is known."""

    email: str
    password: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `skipped` plugins and `problems` are said to whoever watches; with an `error` nothing may
    start.
    """

    applied: int = 0
    terms: int = 0
    plugins: Sequence[str] = ()
    skipped: Mapping[str, str] = {}
    problems: Sequence[str] = ()
    third_parties: bool = False
    """Whether plugins run that don't come with Pegboard."""
    administrator: Administrator | None = None
    error: str = ""
