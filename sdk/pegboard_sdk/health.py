"""Health checks that a plugin brings (hook `health_checks`)."""

from collections.abc import Awaitable, Callable

import msgspec

__all__ = ("HealthCheck",)


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """`check` returns None when well, else a sentence that says what is wrong. An exception counts as unwell. `timeout`
    in seconds.

    A plugin that stays unwell is taken out of the platform, until an administrator releases it. `upstream` says that
    the check tells of a program which isn't ours, such as a provider's API: then being unwell is shown, and no more.
    """

    name: str
    check: Callable[[], Awaitable[str | None]]
    timeout: float = 2.0
    upstream: bool = False
