"""What only one process does at a time: a row with an end, taken by whoever comes first after it."""

import time

import asyncpg
import structlog

from pegboard.database.pool import DATABASE_ERRORS

__all__ = ("Leadership",)

log = structlog.get_logger("pegboard.jobs")

_TAKE = """
INSERT INTO kernel_leases AS lease (name, holder, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
 WHERE lease.holder = excluded.holder OR lease.expires_at < now()
RETURNING true
"""

_RESIGN = "DELETE FROM kernel_leases WHERE name = $1 AND holder = $2"


class Leadership:
    """A lease called `name`, for `ttl` seconds from each renewal.

    It keeps processes from doing the same work at once; it does not make that work safe to do twice. Whoever relies on
    it still guards each row.
    """

    def __init__(self, pool: asyncpg.Pool, name: str, holder: str, *, ttl: float = 15.0) -> None:
        self._pool = pool
        self._name = name
        self._holder = holder
        self._ttl = ttl
        self._leading = False
        self._ask_at = 0.0

    async def held(self) -> bool:
        """Whether this process leads. Asks the database when a third of the lease is over, not each time."""
        if time.monotonic() >= self._ask_at:
            asked = time.monotonic()
            self._leading = await self._pool.fetchval(_TAKE, self._name, self._holder, self._ttl) is True
            self._ask_at = asked + self._ttl / 3
        return self._leading

    async def resign(self) -> None:
        """Let another process lead at once; where the database is away, once the lease has ended."""
        if self._leading:
            self._leading = False
            try:
                await self._pool.execute(_RESIGN, self._name, self._holder)
            except DATABASE_ERRORS as error:
                log.warning("leadership.not_resigned", name=self._name, error=repr(error))
