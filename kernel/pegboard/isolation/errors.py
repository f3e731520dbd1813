"""What callers are told when a plugin is kept from being called, and what the doctor refuses."""

import math

from pegboard_sdk.errors import Conflict, NotFound, Unavailable

__all__ = ("MemoryLookNotFound", "MemoryLookUnderWay", "PluginUnavailable")


class PluginUnavailable(Unavailable):
    """The plugin fails too often and is paused."""

    code = "plugin_unavailable"

    def __init__(self, plugin: str, retry_in: float) -> None:
        seconds = max(1, math.ceil(retry_in))
        super().__init__(
            f"{plugin} fails too often and is paused. Try again in {seconds} s; if it lasts, tell the administrator.",
            retry_after=seconds,
        )


class MemoryLookNotFound(NotFound):
    """There is no such look at memory."""

    code = "memory_look_not_found"


class MemoryLookUnderWay(Conflict):
    """Memory is being looked at already."""

    code = "memory_look_under_way"
