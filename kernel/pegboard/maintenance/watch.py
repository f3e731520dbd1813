"""What each process knows of maintenance: as PostgreSQL knew it at most a second ago."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from pegboard.background import supervised
from pegboard.database.pool import TRANSACTION_ERRORS, Database
from pegboard.maintenance.errors import UnderMaintenance
from pegboard.maintenance.schemas import Maintenance

__all__ = ("MaintenanceWatch", "read_maintenance")

INTERVAL = 0.7
UNKNOWN_END = 60
"""Seconds until a client should ask again where nobody knows when maintenance ends."""
LONGEST = 3_600
_OFF = Maintenance(on=False)
_OPEN = ("/health/", "/.well-known/", "/docs", "/api/v1/auth/", "/api/v1/admin/maintenance")
_OPEN_EXACTLY = frozenset(("/", "/metrics", "/openapi.json", "/api/v1/maintenance"))
_CLOSED = frozenset(("/api/v1/auth/register",))
log = structlog.get_logger("pegboard.maintenance")


async def read_maintenance(connection: Any) -> Maintenance:
    """What the database says. `connection` is the system's."""
    row = await connection.fetchrow("SELECT since, until, message, holds_jobs FROM kernel_maintenance")
    if row is None or row["since"] is None:
        return _OFF
    return Maintenance(on=True, **dict(row))


class MaintenanceWatch:
    """One per process. Where PostgreSQL doesn't answer, what was known last goes on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self.now = _OFF

    async def start(self) -> None:
        """Look once, then go on looking until `stop`."""
        await self.look()
        self._task = supervised("maintenance", self._follow)

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def look(self) -> None:
        """Ask PostgreSQL."""
        async with self._database.system_reader() as connection:
            found = await read_maintenance(connection)
        if found.on != self.now.on:
            log.warning("maintenance.began" if found.on else "maintenance.ended", holds_jobs=found.holds_jobs)
        self.now = found

    def check(self, path: str) -> None:
        """Refuse a request of somebody who doesn't work on the platform. Health, keys, documentation and logging in
        stay open; registering does not.

        Raises:
            UnderMaintenance: `path` has to wait.
        """
        if path in _OPEN_EXACTLY or (path.startswith(_OPEN) and path not in _CLOSED):
            return
        raise UnderMaintenance(self.now.message, retry_after=self.retry_after())

    def retry_after(self) -> int:
        """Seconds until it is worth asking again."""
        if self.now.until is None:
            return UNKNOWN_END
        left = int((self.now.until - datetime.now(UTC)).total_seconds()) + 1
        return min(left, LONGEST) if left > 0 else UNKNOWN_END

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except TRANSACTION_ERRORS as error:
                log.debug("maintenance.unknown", error=repr(error))
