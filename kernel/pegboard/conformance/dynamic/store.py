"""Looking at what is in a plugin's tables, past row-level security."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from pegboard.conformance.subject import Subject

__all__ = ("changes", "connected", "existing", "ids_of", "snapshot", "tenant_tables")

Snapshot = dict[str, dict[str, str]]
"""By table: what each row is, by its key."""


@asynccontextmanager
async def connected(subject: Subject) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to the running platform's database."""
    connection = await asyncpg.connect(subject.kernel.config.database.url.reveal())
    try:
        yield connection
    finally:
        await connection.close()


async def existing(connection: Any, tables: Sequence[str]) -> list[str]:
    """Those of the tables that are there: what is declared need not be (`check_drift` tells)."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL", list(tables)
    )
    return [row["name"] for row in rows]


async def tenant_tables(connection: Any, tables: Sequence[str]) -> list[str]:
    """Those of the tables that are there and whose rows belong to tenants."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE EXISTS (SELECT FROM pg_attribute"
        " WHERE attrelid = to_regclass(name) AND attname = 'tenant_id' AND NOT attisdropped)",
        list(tables),
    )
    return [row["name"] for row in rows]


async def snapshot(subject: Subject, tenant: UUID) -> Snapshot:
    """The tenant's rows in the plugin's tables and the events that the plugin emitted.

    When a row was last touched doesn't count.
    """
    found: Snapshot = {}
    async with connected(subject) as connection:
        for table in await existing(connection, subject.tables):
            rows = await connection.fetch(
                f"SELECT coalesce(to_jsonb(t) ->> 'id', (to_jsonb(t) - 'updated_at')::text) AS key,"  # noqa: S608  # a table's name of the manifest
                f" (to_jsonb(t) - 'updated_at')::text AS row FROM {table} t"
                " WHERE to_jsonb(t) ->> 'tenant_id' IS NULL OR to_jsonb(t) ->> 'tenant_id' = $1::text",
                str(tenant),
            )
            found[table] = {row["key"]: row["row"] for row in rows}
        rows = await connection.fetch(
            "SELECT id::text, name, payload::text FROM kernel_events WHERE tenant_id = $1 AND name LIKE $2 || '.%'",
            tenant,
            subject.name,
        )
        found["kernel_events"] = {row["id"]: f"{row['name']} {row['payload']}" for row in rows}
    return found


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """What became of the rows, a few words for each table."""
    found: list[str] = []
    for table, rows in after.items():
        old = before[table]
        added, gone = len(rows.keys() - old.keys()), len(old.keys() - rows.keys())
        changed = sum(rows[key] != old[key] for key in rows.keys() & old.keys())
        counts = {"added": added, "changed": changed, "removed": gone}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        if told:
            found.append(f"{'events' if table == 'kernel_events' else table} ({told})")
    return found


async def ids_of(connection: Any, tables: Sequence[str], tenant: UUID) -> set[str]:
    """The ids of the tenant's rows."""
    found: set[str] = set()
    for table in await existing(connection, tables):
        rows = await connection.fetch(
            f"SELECT to_jsonb(t) ->> 'id' AS id FROM {table} t WHERE to_jsonb(t) ->> 'tenant_id' = $1",  # noqa: S608  # a table's name of the manifest
            str(tenant),
        )
        found |= {row["id"] for row in rows if row["id"]}
    return found
