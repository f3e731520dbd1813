"""The platform's processes as PostgreSQL sees them: who is alive, and how far each is with the wanted revision."""

import json
import socket
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

__all__ = (
    "LeftOut",
    "Process",
    "awaited_processes",
    "give_up_on",
    "heartbeat",
    "live_processes",
    "node_name",
    "register",
    "remove",
    "report_active",
    "report_ready",
    "too_late",
)


_HEARD = """
UPDATE kernel_processes SET heartbeat_at = now(),
    heard_since = CASE WHEN heartbeat_at > now() - interval '10 seconds' THEN heard_since ELSE now() END,
"""
_BEAT = f"{_HEARD} error = $2, conflict = $3, breakers = $4::text::jsonb WHERE id = $1"
_READY = f"{_HEARD} ready_revision = $2 WHERE id = $1"
_ACTIVE = (
    f"{_HEARD} active_revision = $2, ready_revision = $2, versions = $3::text::jsonb, left_out = $4::text::jsonb"
    " WHERE id = $1"
)


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Why a process does not run a plugin that is to be on. `state`: see `SkippedPlugin`."""

    state: str
    reason: str


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A live process.

    `versions`: plugin → the version that runs. `left_out`: plugins that are to be on and don't run here. `error`: why
    it could not prepare the wanted revision; `conflict`: what its file says otherwise.
    """

    id: UUID
    kind: str
    node: str
    pid: int
    ready_revision: int | None
    active_revision: int | None
    error: str | None
    conflict: str | None
    versions: dict[str, str]
    left_out: dict[str, LeftOut]
    breakers: dict[str, str]
    heartbeat_at: datetime
    created_at: datetime


def node_name() -> str:
    """What this machine is called."""
    return socket.gethostname()


async def register(connection: Any, process: UUID, kind: str, node: str, pid: int) -> None:
    """Begin to exist; forget processes that died long ago."""
    await connection.execute("DELETE FROM kernel_processes WHERE heartbeat_at < now() - interval '1 hour'")
    await connection.execute(
        "INSERT INTO kernel_processes (id, kind, node, pid) VALUES ($1, $2, $3, $4)", process, kind, node, pid
    )


async def heartbeat(
    connection: Any, process: UUID, *, error: str | None, conflict: str | None, breakers: Mapping[str, str]
) -> bool:
    """Still alive, with these `breakers` that are not closed (plugin → state). Whether the process is known: it is not
    when everybody took it for dead long ago.
    """
    status = await connection.execute(
        _BEAT,
        process,
        error,
        conflict,
        msgspec.json.encode(breakers).decode(),
    )
    return status == "UPDATE 1"


async def report_ready(connection: Any, process: UUID, number: int) -> None:
    """The process has built the revision and could swap to it."""
    await connection.execute(
        _READY,
        process,
        number,
    )


async def report_active(
    connection: Any, process: UUID, number: int, versions: Mapping[str, str], left_out: Mapping[str, LeftOut]
) -> None:
    """The process runs the revision, with these `versions` of its plugins (name → version), and without `left_out`."""
    await connection.execute(
        _ACTIVE,
        process,
        number,
        *(msgspec.json.encode(one).decode() for one in (versions, left_out)),
    )


async def too_late(connection: Any, number: int, seconds: float) -> list[str]:
    """Live processes that had `seconds` to get ready for the revision since its migrations ran, and are not."""
    rows = await connection.fetch(
        "SELECT p.kind, p.pid, p.node FROM kernel_live_processes p, kernel_plugin_revisions r"
        " WHERE r.number = $1 AND r.migrated_at < now() - make_interval(secs => $2)"
        "   AND p.ready_revision IS DISTINCT FROM $1 ORDER BY p.created_at, p.id",
        number,
        seconds,
    )
    return [f"{row['kind']} {row['pid']} on {row['node']}" for row in rows]


async def remove(connection: Any, process: UUID) -> None:
    """Cease to exist."""
    await connection.execute("DELETE FROM kernel_processes WHERE id = $1", process)


async def live_processes(connection: Any) -> list[Process]:
    """Processes that were heard of lately, oldest first."""
    return _processes(await connection.fetch("SELECT * FROM kernel_live_processes ORDER BY created_at, id"))


async def awaited_processes(connection: Any) -> list[Process]:
    """Processes that fell silent when all did, and are expected back: the database was away. Oldest first."""
    return _processes(await connection.fetch("SELECT * FROM kernel_awaited_processes ORDER BY created_at, id"))


async def give_up_on(connection: Any, processes: Collection[UUID]) -> list[Process]:
    """Take those of the processes for dead that are still silent, and give them; who is not signs on anew."""
    rows = await connection.fetch(
        "DELETE FROM kernel_processes WHERE id = ANY ($1::uuid[]) AND heartbeat_at <= now() - interval '10 seconds'"
        " RETURNING *",
        list(processes),
    )
    return _processes(rows)


def _processes(rows: Any) -> list[Process]:
    columns = ("versions", "left_out", "breakers")
    return [msgspec.convert({**row} | {name: json.loads(row[name]) for name in columns}, Process) for row in rows]
