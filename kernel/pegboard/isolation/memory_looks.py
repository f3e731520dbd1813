"""Looks at memory, from somebody's wish to what each running process found. Functions take a connection of *system*."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk.ids import new_id

from pegboard.database.pool import TRANSACTION_ERRORS
from pegboard.isolation.errors import MemoryLookNotFound, MemoryLookUnderWay
from pegboard.isolation.memory import Busy, MemoryOwner, measure
from pegboard.plugins.processes import node_name
from pegboard.runtime import Runtime

__all__ = ("MemoryLook", "MemoryReport", "MemoryReporter", "begin_look", "read_look")

SLACK = 10.0
"""Seconds beyond its own in which a look is noticed, evaluated and written."""
_LOCK = 7_306_086_921_600_012
log = structlog.get_logger("pegboard.isolation")


class MemoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one process found: who holds how much, the most first; or the `error` that kept it from looking."""

    kind: str
    node: str
    pid: int
    owners: list[MemoryOwner]
    error: str | None


class MemoryLook(msgspec.Struct, frozen=True, kw_only=True):
    """A look at the memory of all processes. `missing`: how many have yet to report; `done`: no more will."""

    id: UUID
    seconds: float
    created_at: datetime
    done: bool
    missing: int
    reports: list[MemoryReport]


async def begin_look(connection: Any, seconds: float, requested_by: UUID | None) -> UUID:
    """Have every live process trace its allocations for `seconds`, at most 60. One look at a time.

    Raises:
        MemoryLookUnderWay: there is one already.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    left = await connection.fetchval(
        "SELECT max(extract(epoch FROM created_at + make_interval(secs => seconds + $1) - now()))::float8"
        " FROM kernel_memory_looks AS look WHERE created_at + make_interval(secs => seconds + $1) > now()"
        " AND EXISTS (SELECT FROM unnest(expected) AS process"
        "             WHERE process NOT IN (SELECT process FROM kernel_memory_reports WHERE look_id = look.id))",
        SLACK,
    )
    if left is not None:
        raise MemoryLookUnderWay(f"Memory is being looked at already. Try again in {left:.0f} s.")
    await connection.execute("DELETE FROM kernel_memory_looks WHERE created_at < now() - interval '7 days'")
    look_id = new_id()
    await connection.execute(
        "INSERT INTO kernel_memory_looks (id, seconds, expected, requested_by)"
        " SELECT $1, $2, coalesce(array_agg(id), '{}'), $3 FROM kernel_live_processes",
        look_id,
        seconds,
        requested_by,
    )
    return look_id


async def read_look(connection: Any, look_id: UUID) -> MemoryLook:
    """What was found so far.

    Raises:
        MemoryLookNotFound: there is no such look, or it is older than a week.
    """
    look = await connection.fetchrow(
        "SELECT *, created_at + make_interval(secs => seconds + $2) < now() AS over FROM kernel_memory_looks"
        " WHERE id = $1",
        look_id,
        SLACK,
    )
    if look is None:
        raise MemoryLookNotFound("There is no such look at memory; they are kept for a week.")
    rows = await connection.fetch(
        "SELECT process, kind, node, pid, owners, error FROM kernel_memory_reports WHERE look_id = $1"
        " ORDER BY kind, node, pid",
        look_id,
    )
    missing = len(set(look["expected"]) - {row["process"] for row in rows})
    return MemoryLook(
        id=look["id"],
        seconds=look["seconds"],
        created_at=look["created_at"],
        done=missing == 0 or look["over"],
        missing=missing,
        reports=[
            MemoryReport(
                kind=row["kind"],
                node=row["node"],
                pid=row["pid"],
                owners=msgspec.json.decode(row["owners"], type=list[MemoryOwner]),
                error=row["error"],
            )
            for row in rows
        ],
    )


class MemoryReporter:
    """A process's part. `process` is its row's id, `kind` what it is."""

    def __init__(self, runtime: Runtime, process: UUID, kind: str, pid: int) -> None:
        self._runtime = runtime
        self._process = process
        self._kind = kind
        self._pid = pid
        self._task: asyncio.Task[None] | None = None

    async def notice(self, connection: Any) -> None:
        """Begin to look where somebody wants it; to be called with each heartbeat. Returns at once."""
        if self._task is not None and not self._task.done():
            return
        look = await connection.fetchrow(
            "SELECT id, seconds FROM kernel_memory_looks AS look WHERE $1 = ANY (expected)"
            " AND created_at + make_interval(secs => $2) > now()"
            " AND NOT EXISTS (SELECT FROM kernel_memory_reports WHERE look_id = look.id AND process = $1)",
            self._process,
            SLACK,
        )
        if look is not None:
            self._task = asyncio.create_task(self._look(look["id"], look["seconds"]), name="memory-look")

    async def stop(self) -> None:
        """End a look that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _look(self, look_id: UUID, seconds: float) -> None:
        log.info("memory.look", seconds=seconds)
        owners: list[MemoryOwner] = []
        error: str | None = None
        try:
            owners = await measure(seconds, self._runtime.breakers.owners)
        except Busy as busy:
            error = str(busy)
        try:
            async with self._runtime.database.system_transaction() as connection:
                await connection.execute(
                    "INSERT INTO kernel_memory_reports (id, look_id, process, kind, node, pid, owners, error)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8)",
                    new_id(),
                    look_id,
                    self._process,
                    self._kind,
                    node_name(),
                    self._pid,
                    msgspec.json.encode(owners).decode(),
                    error,
                )
        except TRANSACTION_ERRORS as failure:
            log.warning("memory.not_reported", error=repr(failure))
