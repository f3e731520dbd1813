"""Telling relays that something waits: a NOTIFY of its own, outside every business transaction and at most so often.

A NOTIFY inside a transaction takes a lock that serializes the commits of the whole server. This one is a hint: whom it
doesn't reach polls.
"""

import asyncio
from typing import TYPE_CHECKING

import structlog

from pegboard.database.pool import DATABASE_ERRORS

if TYPE_CHECKING:
    from pegboard.database.pool import Database

__all__ = ("CHANNEL", "Notifier")

CHANNEL = "pegboard_jobs"
log = structlog.get_logger("pegboard.jobs")

# The notification need not survive a crash of the server, so its commit doesn't wait for the disk.
_NOTIFY = f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{CHANNEL}', '')"


class Notifier:
    """One per process. However often it is poked, it notifies at once and then at most every `interval` seconds."""

    def __init__(self, database: "Database", *, interval: float = 0.05) -> None:
        self._database = database
        self._interval = interval
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None
        self._again = False

    async def poke(self) -> None:
        """Something was committed that a relay should see. Returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._notify(), name="jobs-notifier")
        else:
            self._again = True

    async def close(self) -> None:
        """Send what is still to be sent."""
        if self._task is not None:
            await self._task

    async def _notify(self) -> None:
        loop = asyncio.get_running_loop()
        self._again = True
        try:
            while self._again:
                await asyncio.sleep(max(0.0, self._next - loop.time()))
                self._again = False
                self._next = loop.time() + self._interval
                await self._database.system.execute(_NOTIFY)
        except DATABASE_ERRORS as error:
            log.warning("jobs.notify_failed", error=repr(error))
        finally:
            self._task = None
