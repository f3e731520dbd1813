"""Revisions: which plugins are to be on. PostgreSQL holds them; every function takes a connection of the system role.

A revision is prepared by every running process before it becomes active in any. Whoever changes a revision's state
holds one advisory lock for the transaction, so that changes come one after the other.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from pegboard.database.pool import Database
from pegboard.database.storable import storable
from pegboard.plugins import lifecycle_audit

__all__ = (
    "CHANNEL",
    "Origin",
    "Revision",
    "activate_if_ready",
    "active_revision",
    "claim_trial",
    "fail",
    "is_known_file",
    "latest_revision",
    "lock",
    "mark_migrated",
    "notify",
    "propose",
    "record_file",
    "recorded_file",
    "revision",
    "standing",
    "wanted_revision",
)

CHANNEL = "pegboard_plugins"
"""Notified after each change, outside its transaction. A hint: who hears it reads again."""

_LOCK = 7_306_086_921_600_006
SERVERS_WAIT = 5.0
"""Seconds in which only processes that serve no requests begin to try a revision."""

Origin = Literal["file", "api", "cli", "kernel"]


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A set of plugins. `state`: preparing, active, failed (`reason` says why) or superseded by a later one."""

    number: int
    plugins: list[str]
    file_hash: str
    state: Literal["preparing", "active", "failed", "superseded"]
    origin: Origin
    requested_by: UUID | None
    reason: str | None
    migrator: UUID | None
    migrated_at: datetime | None
    decided_at: datetime | None
    created_at: datetime


async def lock(connection: Any) -> None:
    """Wait for whoever else changes revisions, until this transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def latest_revision(connection: Any) -> Revision | None:
    """The newest one, whatever became of it."""
    return _one(await connection.fetchrow("SELECT * FROM kernel_plugin_revisions ORDER BY number DESC LIMIT 1"))


async def active_revision(connection: Any) -> Revision | None:
    """The one that runs; None on a platform that never started."""
    return _one(await connection.fetchrow("SELECT * FROM kernel_plugin_revisions WHERE state = 'active'"))


async def wanted_revision(connection: Any) -> Revision | None:
    """The one that shall run: in preparation, else active."""
    return _one(
        await connection.fetchrow(
            "SELECT * FROM kernel_plugin_revisions WHERE state IN ('preparing', 'active') ORDER BY number DESC LIMIT 1"
        )
    )


async def standing(connection: Any) -> tuple[Revision | None, Revision | None]:
    """The active one, and the one in preparation. One statement: processes ask it all the time."""
    rows = await connection.fetch("SELECT * FROM kernel_plugin_revisions WHERE state IN ('active', 'preparing')")
    found = {row["state"]: _one(row) for row in rows}
    return found.get("active"), found.get("preparing")


async def revision(connection: Any, number: int) -> Revision | None:
    """The one with this number."""
    return _one(await connection.fetchrow("SELECT * FROM kernel_plugin_revisions WHERE number = $1", number))


async def propose(
    connection: Any,
    plugins: Iterable[str],
    *,
    file_hash: str,
    origin: Origin,
    requested_by: UUID | None = None,
) -> Revision:
    """Make `plugins` the wanted set; takes the lock. One that was still in preparation is superseded.

    Where no process runs (those that are starting don't yet), there is nothing to prepare beside: the revision is
    active at once, and processes leave out what they can't load. Processes that were silenced by an outage do run.
    """
    await lock(connection)
    running = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM kernel_live_processes WHERE active_revision IS NOT NULL)"
        " OR EXISTS (SELECT FROM kernel_awaited_processes)"
    )
    active = await active_revision(connection)
    superseded = await connection.fetch(
        "UPDATE kernel_plugin_revisions SET state = 'superseded', decided_at = now() WHERE state = 'preparing'"
        " RETURNING *"
    )
    state = "preparing" if running else "active"
    if state == "active":
        await _retire_active(connection)
    row = await connection.fetchrow(
        "INSERT INTO kernel_plugin_revisions (number, plugins, file_hash, state, origin, requested_by, decided_at)"
        " SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, CASE WHEN $3 = 'active' THEN now() END"
        " FROM kernel_plugin_revisions RETURNING *",
        sorted(set(plugins)),
        file_hash,
        state,
        origin,
        requested_by,
    )
    made, running = _found(row), () if active is None else active.plugins
    for one in superseded:
        await lifecycle_audit.revision_ended(
            connection, _found(one), running, reason=f"revision {made.number} takes its place"
        )
    if made.state == "active":
        await lifecycle_audit.revision_ended(connection, made, running)
    return made


async def claim_trial(connection: Any, number: int, process: UUID, *, serves: bool) -> Literal["ours", "wait", "lost"]:
    """Whether `process` is the one that tries the revision first: runs its migrations and prepares it, while all others
    wait. It is `lost` when the one that did has ended, or hangs: then nobody else is to follow it.

    A process that `serves` requests leaves that to the others, where there are any that take it.
    """
    migrator = await connection.fetchval(
        "UPDATE kernel_plugin_revisions SET migrator = coalesce(migrator, $2)"
        " WHERE number = $1 AND state = 'preparing' AND (migrator IS NOT NULL OR NOT $3"
        "   OR created_at < now() - make_interval(secs => $4)"
        "   OR NOT EXISTS (SELECT FROM kernel_live_processes WHERE kind <> 'api'))"
        " RETURNING migrator",
        number,
        process,
        serves,
        SERVERS_WAIT,
    )
    if migrator == process:
        return "ours"
    if migrator is None or await connection.fetchval(
        "SELECT EXISTS (SELECT FROM kernel_live_processes WHERE id = $1)", migrator
    ):
        return "wait"
    return "lost"


async def mark_migrated(connection: Any, number: int) -> None:
    """The revision's migrations have run and one process is ready for it: the others may build it."""
    await connection.execute("UPDATE kernel_plugin_revisions SET migrated_at = now() WHERE number = $1", number)


async def fail(connection: Any, number: int, reason: str) -> bool:
    """Give a revision up; whatever runs goes on. Whether it was still in preparation. Takes the lock."""
    await lock(connection)
    row = await connection.fetchrow(
        "UPDATE kernel_plugin_revisions SET state = 'failed', reason = $2, decided_at = now()"
        " WHERE number = $1 AND state = 'preparing' RETURNING *",
        number,
        storable(reason),
    )
    if row is not None:
        active = await active_revision(connection)
        await lifecycle_audit.revision_ended(connection, _found(row), () if active is None else active.plugins)
    return row is not None


async def activate_if_ready(connection: Any, number: int) -> bool:
    """Make a revision in preparation the active one if every live process is ready for it, and none is awaited that an
    outage silenced. Takes the lock.
    """
    await lock(connection)
    ready = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM kernel_plugin_revisions WHERE number = $1 AND state = 'preparing')"
        " AND NOT EXISTS (SELECT FROM kernel_live_processes WHERE ready_revision IS DISTINCT FROM $1)"
        " AND NOT EXISTS (SELECT FROM kernel_awaited_processes)",
        number,
    )
    if ready:
        before = await active_revision(connection)
        await _retire_active(connection)
        row = await connection.fetchrow(
            "UPDATE kernel_plugin_revisions SET state = 'active', decided_at = now() WHERE number = $1 RETURNING *",
            number,
        )
        await lifecycle_audit.revision_ended(connection, _found(row), () if before is None else before.plugins)
    return ready


async def recorded_file(connection: Any, node: str, path: str) -> str | None:
    """The hash of a machine's `plugins.toml` when it was last read; None when it never was."""
    return await connection.fetchval("SELECT hash FROM kernel_plugin_files WHERE node = $1 AND path = $2", node, path)


async def record_file(connection: Any, node: str, path: str, file_hash: str) -> None:
    """Note what a machine's `plugins.toml` holds now."""
    await connection.execute(
        "INSERT INTO kernel_plugin_files (node, path, hash) VALUES ($1, $2, $3)"
        " ON CONFLICT (node, path) DO UPDATE SET hash = excluded.hash, updated_at = now()",
        node,
        path,
        file_hash,
    )


async def is_known_file(connection: Any, file_hash: str) -> bool:
    """Whether a file with this content was ever read, on whatever machine."""
    return await connection.fetchval(
        "SELECT EXISTS (SELECT FROM kernel_plugin_revisions WHERE file_hash = $1)"
        " OR EXISTS (SELECT FROM kernel_plugin_files WHERE hash = $1)",
        file_hash,
    )


async def notify(database: Database) -> None:
    """Tell all processes to look.

    After the commit: inside a transaction it would hold up the server's other commits.
    """
    async with database.system_reader() as connection:
        await connection.execute("SELECT pg_notify($1, '')", CHANNEL)


async def _retire_active(connection: Any) -> None:
    await connection.execute("UPDATE kernel_plugin_revisions SET state = 'superseded' WHERE state = 'active'")


def _one(row: Any) -> Revision | None:
    return None if row is None else msgspec.convert(dict(row), Revision)


def _found(row: Any) -> Revision:
    return msgspec.convert(dict(row), Revision)
