"""The revocation feed: which sessions have ended, as PostgreSQL knew it at most a second ago."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
from pegboard_sdk.errors import Unavailable

from pegboard.background import supervised
from pegboard.database.pool import TRANSACTION_ERRORS, Database

__all__ = ("MAX_AGE", "RevocationFeed")

MAX_AGE = 1.0
"""Seconds. What the feed knows may decide about a request while it is no older than this."""

_INTERVAL = 0.4
_MARGIN = 60.0
"""Seconds that clocks and the time between an UPDATE and its commit may take, on top of an access token's life."""

# The horizon is the oldest transaction that this snapshot can't see the outcome of. Whatever commits later has that id
# or a higher one, so asking from the last horizon on misses nothing, however long a transaction takes or whatever
# clocks do.
_SINCE = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon,
       array(SELECT id FROM kernel_sessions WHERE revoked_xid >= $1::text::xid8) AS sessions
"""
_RECENT = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon,
       array(SELECT id FROM kernel_sessions WHERE revoked_at > now() - make_interval(secs => $1)) AS sessions
"""
log = structlog.get_logger("pegboard.identity")


class RevocationFeed:
    """Asks PostgreSQL every 0.4 s which sessions were revoked. `lifetime`: seconds that an access token lives at most.

    A session is remembered until its last access token has expired. `on_revoked` is called once for each. `also` is
    asked after it on the same connection, with the same horizon (None: from the beginning), so that what it knows is as
    fresh as this is.
    """

    def __init__(
        self,
        database: Database,
        *,
        lifetime: float,
        on_revoked: Callable[[UUID], None],
        also: Callable[[Any, int | None], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._keep = lifetime + _MARGIN
        self._on_revoked = on_revoked
        self._also = also
        self._revoked: dict[UUID, float] = {}
        self._horizon: int | None = None
        self._flight: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.as_of = float("-inf")
        """`time.monotonic()` just before the last answer was asked for."""

    def is_revoked(self, session_id: UUID) -> bool:
        """Whether the session is known to have ended. Says something only while the feed is fresh."""
        return session_id in self._revoked

    def add(self, session_id: UUID) -> None:
        """Take note of a session that this process has just revoked, without waiting for the next answer."""
        if session_id not in self._revoked:
            self._revoked[session_id] = time.monotonic() + self._keep
            self._on_revoked(session_id)

    async def ensure(self) -> None:
        """Make sure that what is known is no older than `MAX_AGE` at the time of the call: ask PostgreSQL where it is.

        All who wait share one question.

        Raises:
            Unavailable: PostgreSQL doesn't answer, so nobody can tell whether a session stands.
        """
        needed = time.monotonic() - MAX_AGE
        while self.as_of < needed:
            try:
                await self._ask()
            except TRANSACTION_ERRORS as error:
                raise Unavailable("The session can't be checked now. Try again in a moment.") from error

    async def start(self) -> None:
        """Ask once, then keep asking in the background until `stop`."""
        await self._ask()
        self._task = supervised("revocation-feed", self._follow)

    async def stop(self) -> None:
        """Ask no more. What is known goes stale within a second."""
        for task in (self._task, self._flight):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
        self._task = None

    async def _follow(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await self._ask()
            except TRANSACTION_ERRORS as error:
                if not failing:
                    log.warning("revocations.unavailable", error=repr(error))
                failing = True
            else:
                if failing:
                    log.info("revocations.available")
                failing = False

    async def _ask(self) -> None:
        """Ask, or wait for the answer that somebody is waiting for already."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._poll())
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # whoever waited has it; where nobody did, the next question fails too

    async def _poll(self) -> None:
        asked_at = time.monotonic()
        async with asyncio.timeout(self._database.acquire_timeout):
            horizon, sessions = await self._question(self._horizon)
            if self._horizon is not None and horizon < self._horizon:
                # Transaction ids only go up: this is another server, such as one restored from a dump.
                horizon, sessions = await self._question(None)
        self._horizon = horizon
        for session_id in sessions:
            self.add(session_id)
        self.as_of = asked_at
        while self._revoked and next(iter(self._revoked.values())) < asked_at:
            del self._revoked[next(iter(self._revoked))]

    async def _question(self, horizon: int | None) -> tuple[int, list[UUID]]:
        connection = await self._database.acquire(self._database.system)
        try:
            if horizon is None:
                row = await connection.fetchrow(_RECENT, self._keep)
            else:
                row = await connection.fetchrow(_SINCE, str(horizon))
            if self._also is not None:
                await self._also(connection, horizon)
        finally:
            await self._database.system.release(connection)
        return int(row["horizon"]), row["sessions"]
