"""Uses of capabilities on record, where there is no transaction to write them in: reads, calls out, refusals.

Entries are never removed, so what happens often is counted: the first use is written at once, those of the next minute
become one entry. Writing happens beside what is going on and changes nothing about it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.services import AuditOutcome

from pegboard.audit.writer import entry_of, write_entries
from pegboard.database.pool import TRANSACTION_ERRORS, Database

__all__ = ("Trail", "Use", "write_uses")

WINDOW = 60.0
"""Seconds in which the same use by the same account is one entry."""
MAX_WAITING = 10_000
MAX_TOLD = 500
"""Characters of an entry's texts in the log, where it could not be written."""
_TIMEOUT = 5.0
_UNFIT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    TypeError,
    ValueError,
    ArithmeticError,
    RecursionError,
)
"""What is raised for an entry's own sake: PostgreSQL refuses a value (a NUL in a text, one too long for an index), or
it can't be encoded. It has nothing to do with the other entries.
"""
log = structlog.get_logger("pegboard.capabilities")


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a plugin used: `action` is `kernel:<noun>.<verb>`; `detail` holds `plugin` and whatever else."""

    principal: Principal
    request_id: str
    action: str
    object_type: str
    object_id: str
    detail: Mapping[str, Any]
    outcome: AuditOutcome = "success"
    reason: str | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Uses with the same key within a minute are one entry."""
        principal = self.principal
        return (
            principal.tenant_id,
            principal.account_id,
            self.action,
            self.object_id,
            self.detail.get("plugin"),
            self.outcome,
        )


class _Window:
    __slots__ = ("ends", "repeated", "use")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.repeated = 0
        self.use: Use | None = None


class Trail:
    """One per process. `note` never waits and never fails."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._windows: dict[tuple[Any, ...], _Window] = {}
        self._waiting: list[Use] = []
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writer: asyncio.Task[None] | None = None

    def note(self, use: Use, *, counted: bool = True) -> None:
        """Put `use` on record soon; with `counted` off always by an entry of its own."""
        if counted:
            key = use.key
            window = self._windows.get(key)
            if window is not None and self._clock() < window.ends:
                window.repeated += 1
                window.use = use
                return
            if window is not None:
                self._end(key)
            elif len(self._windows) >= MAX_WAITING:
                self._end(next(iter(self._windows)))
            self._windows[key] = _Window(self._clock() + WINDOW)
        self._put(use)

    async def written(self) -> None:
        """Wait until what was noted is written; not for the uses that are still being counted."""
        await self._idle.wait()

    async def close(self) -> None:
        """Write what is left."""
        for key in list(self._windows):
            self._end(key)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self.written()
        except TimeoutError:
            for use in self._waiting:
                _lost(use, "the process ended")
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait((self._writer,))

    def _put(self, use: Use) -> None:
        if len(self._waiting) >= MAX_WAITING:
            _lost(use, "too many wait")
            return
        self._waiting.append(use)
        self._idle.clear()
        self._news.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_on(), name="capabilities-trail")

    def _end(self, key: tuple[Any, ...]) -> None:
        window = self._windows.pop(key)
        if window.use is not None:
            self._put(msgspec.structs.replace(window.use, detail={**window.use.detail, "uses": window.repeated}))

    async def _write_on(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._news.wait()
            except TimeoutError:
                pass  # a window ends
            self._news.clear()
            now = self._clock()
            for key in [key for key, window in self._windows.items() if window.ends <= now]:
                self._end(key)
            while self._waiting:
                await self._write(self._waiting[0].principal.tenant_id)
            self._idle.set()

    def _until_next(self) -> float | None:
        # Windows are in the order of their ends.
        first = next(iter(self._windows.values()), None)
        return None if first is None else max(0.0, first.ends - self._clock())

    async def _write(self, tenant_id: UUID) -> None:
        """Write what waits of one tenant."""
        uses = [use for use in self._waiting if use.principal.tenant_id == tenant_id]
        await self._write_all(tenant_id, uses)
        written = set(map(id, uses))
        self._waiting = [use for use in self._waiting if id(use) not in written]

    async def _write_all(self, tenant_id: UUID, uses: Sequence[Use]) -> None:
        """Write them in one transaction. What can't be written because of what is in it takes no other along: the two
        halves are tried by themselves, and so on, until what is wrong stands alone.
        """
        try:
            async with asyncio.timeout(_TIMEOUT), self._database.transaction(tenant_id) as connection:
                await write_uses(connection, uses)
        except _UNFIT as error:
            if len(uses) == 1:
                _lost(uses[0], repr(error))
                return
            half = len(uses) // 2
            await self._write_all(tenant_id, uses[:half])
            await self._write_all(tenant_id, uses[half:])
        except TRANSACTION_ERRORS as error:
            for use in uses:
                _lost(use, repr(error))


async def write_uses(connection: Any, uses: Sequence[Use]) -> None:
    """Write an entry for each use, in one round trip."""
    await write_entries(
        connection,
        [
            entry_of(
                use.principal,
                use.action,
                object_type=use.object_type,
                object_id=use.object_id,
                after=use.detail,
                outcome=use.outcome,
                reason=use.reason,
                request_id=use.request_id,
            )
            for use in uses
        ],
    )


def _lost(use: Use, why: str) -> None:
    log.error(
        "audit.not_written",
        account=str(use.principal.account_id),
        plugin=use.detail.get("plugin"),
        action=_legible(use.action),
        object=_legible(use.object_id),
        detail=_legible(repr(use.detail)),
        outcome=use.outcome,
        reason=None if use.reason is None else _legible(use.reason),
        request_id=_legible(use.request_id),
        error=_legible(why),
    )


def _legible(text: str) -> str:
    """In ASCII, and not without end: what can't be encoded, or is too long, may be why it is told at all."""
    return text.encode("ascii", "backslashreplace").decode()[:MAX_TOLD]
