"""Health checks that a plugin brings (hook `health_checks`)."""

from collections.abc import Awaitable, Callable

import msgspec

__all__ = ("HealthCheck",)


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """`check` returns None when well, else a sentence that says what is wrong. An exception counts as unwell. `timeout`
    in seconds.
    """

    name: str
    check: Callable[[], Awaitable[str | None]]
    timeout: float = 2.0
