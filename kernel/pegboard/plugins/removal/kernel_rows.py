"""Rows of the kernel's that are a plugin's: what becomes of each kind when the plugin is purged.

Audit entries and receipts stay. Idempotency keys are digests, which can't be told apart by plugin; they expire within
a day, as plans do. Events that wait to be relayed stay too: they happened, and are others' to hear of.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg

__all__ = ("count_rows", "remove_rows", "remove_taxonomies", "secret_names")

_ROWS: Mapping[str, str] = {
    "jobs": "kernel_jobs WHERE plugin = $1",
    "schedules": "kernel_schedules WHERE plugin = $1",
    "events": "kernel_events WHERE starts_with(name, $1 || '.') AND relayed_at IS NOT NULL",
    "secrets": "kernel_secrets WHERE starts_with(name, $1 || '.')",
    "record types": "kernel_record_types WHERE plugin = $1",
    "reference columns": "kernel_reference_columns WHERE plugin = $1",
    "quarantines": "kernel_plugin_quarantine WHERE plugin = $1",
    "recorded contracts": "kernel_plugin_contracts WHERE plugin = $1",
    "migrations": "migration WHERE app_name = $1",
}

_TAXONOMIES = "kernel_taxonomies WHERE plugin = $1"

_RETIRE = """
UPDATE kernel_taxonomy_terms SET retired_at = now()
WHERE retired_at IS NULL AND taxonomy_id IN (SELECT id FROM kernel_taxonomies WHERE plugin = $1)
"""


async def count_rows(connection: Any, plugin: str) -> dict[str, int]:
    """How many rows of each kind a purge would remove, the kinds without any left out."""
    found = {
        kind: await connection.fetchval(f"SELECT count(*) FROM {rows}", plugin)  # noqa: S608  # constants
        for kind, rows in {**_ROWS, "taxonomies": _TAXONOMIES}.items()
    }
    return {kind: count for kind, count in found.items() if count}


async def secret_names(connection: Any, plugin: str) -> list[str]:
    """The names of the plugin's secrets, of the platform and of all tenants."""
    rows = await connection.fetch(
        "SELECT DISTINCT name FROM kernel_secrets WHERE starts_with(name, $1 || '.') ORDER BY name", plugin
    )
    return [row["name"] for row in rows]


async def remove_rows(connection: Any, plugin: str) -> dict[str, int]:
    """Remove all but taxonomies; gives how many of each kind."""
    removed: dict[str, int] = {}
    for kind, rows in _ROWS.items():
        status = await connection.execute(f"DELETE FROM {rows}", plugin)  # noqa: S608  # constants
        removed[kind] = int(status.rpartition(" ")[2])
    return {kind: count for kind, count in removed.items() if count}


async def remove_taxonomies(connection: Any, plugin: str) -> dict[str, int]:
    """Remove the plugin's taxonomies, after its tables: those refer to terms. Gives how many.

    Where another plugin's rows are tagged with a term of theirs, they stay, and their terms are retired: nobody can
    choose them any more.
    """
    try:
        async with connection.transaction():
            status = await connection.execute(f"DELETE FROM {_TAXONOMIES}", plugin)  # noqa: S608  # constants
    except asyncpg.ForeignKeyViolationError:
        status = await connection.execute(_RETIRE, plugin)
        return {"retired terms": int(status.rpartition(" ")[2])}
    count = int(status.rpartition(" ")[2])
    return {"taxonomies": count} if count else {}
