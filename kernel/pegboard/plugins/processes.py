"""The platform's processes as PostgreSQL sees them: who is alive, and how far each is with the wanted revision."""

import json
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

__all__ = (
    "Process",
    "heartbeat",
    "live_processes",
    "node_name",
    "register",
    "remove",
    "report_active",
    "report_ready",
    "too_late",
)


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A live process.

    `versions`: plugin → the version that runs. `error`: why it could not prepare the wanted revision; `conflict`: what
    its file says otherwise.
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
        "UPDATE kernel_processes SET heartbeat_at = now(), error = $2, conflict = $3, breakers = $4::text::jsonb"
        " WHERE id = $1",
        process,
        error,
        conflict,
        msgspec.json.encode(breakers).decode(),
    )
    return status == "UPDATE 1"


async def report_ready(connection: Any, process: UUID, number: int) -> None:
    """The process has built the revision and could swap to it."""
    await connection.execute(
        "UPDATE kernel_processes SET ready_revision = $2, heartbeat_at = now() WHERE id = $1", process, number
    )


async def report_active(connection: Any, process: UUID, number: int, versions: Mapping[str, str]) -> None:
    """The process runs the revision, with these `versions` of its plugins (name → version)."""
    await connection.execute(
        "UPDATE kernel_processes SET active_revision = $2, ready_revision = $2, versions = $3::text::jsonb,"
        " heartbeat_at = now() WHERE id = $1",
        process,
        number,
        msgspec.json.encode(versions).decode(),
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
    rows = await connection.fetch("SELECT * FROM kernel_live_processes ORDER BY created_at, id")
    decoded = ({**row} | {name: json.loads(row[name]) for name in ("versions", "breakers")} for row in rows)
    return [msgspec.convert(one, Process) for one in decoded]
