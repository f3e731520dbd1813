"""Waiting for what must become true."""

import asyncio
import time
from collections.abc import Awaitable, Callable

__all__ = ("until",)


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = 20.0, what: str = "it") -> None:
    """Look until `condition` holds, for at most `within` seconds.

    Raises:
        AssertionError: it did not hold in time.
    """
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"{what} did not become true within {within:g} s"
        await asyncio.sleep(0.01)
