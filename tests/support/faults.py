"""A pool of connections that breaks when it is told to."""

from typing import Any

import asyncpg

__all__ = ("BreakingPool",)


class BreakingPool:
    """Passes everything on to `pool`, except that acquiring raises what is in `errors`, one after the other."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.errors: list[Exception] = []

    def acquire(self, *, timeout: float | None = None) -> Any:
        """A connection, or the next error."""
        if self.errors:
            raise self.errors.pop(0)
        return self._pool.acquire(timeout=timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)
