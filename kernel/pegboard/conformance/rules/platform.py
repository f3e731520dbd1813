"""The plugin on a running platform."""

import asyncpg

from pegboard.conformance.dynamic.migrations import check_drift, check_migrations
from pegboard.conformance.rule import Rule
from pegboard.conformance.subject import Subject
from pegboard.database.tenancy import tenancy_problems

__all__ = ("RULES",)


async def _starts(subject: Subject) -> list[str]:
    # There is a subject once the platform has started with the plugin; failing to is the finding.
    return [] if subject.plugin.name == subject.name else [f"{subject.name} is not on"]


async def _protected(subject: Subject) -> list[str]:
    connection = await asyncpg.connect(subject.owner_url)
    try:
        found = await tenancy_problems(connection)
    finally:
        await connection.close()
    return [text for text in found if text.startswith(tuple(f"{table}:" for table in subject.tables))]


async def _updated_at(subject: Subject) -> list[str]:
    connection = await asyncpg.connect(subject.owner_url)
    try:
        rows = await connection.fetch(
            "SELECT name FROM unnest($1::text[]) AS name"
            " WHERE has_any_column_privilege('pegboard_app', name, 'UPDATE') AND NOT EXISTS ("
            " SELECT FROM pg_attribute WHERE attrelid = name::regclass AND attname = 'updated_at')",
            subject.tables,
        )
    finally:
        await connection.close()
    return [f"the table {row['name']} can be changed and has no column updated_at" for row in rows]


def _has_tables(subject: Subject) -> str | None:
    return None if subject.tables else "it has no tables"


RULES = (
    Rule(
        id="platform.starts",
        tier="bronze",
        title="A platform starts with it: its migrations run, its start-up ends, its routes are mounted",
        why="A plugin with which a process can't start is left out, and whatever requires it.",
        fix="Mend what the message names.",
        needs="platform",
        check=_starts,
        gate=True,
    ),
    Rule(
        id="tables.protected",
        tier="bronze",
        title="Row-level security keeps every table's tenants apart",
        why="One marketplace must not see another's rows, whatever a query forgets.",
        fix='Make each table with protect_table("<table>") in the same migration; keys, foreign keys and unique indexes'
        " begin with tenant_id.",
        needs="platform",
        check=_protected,
        applies=_has_tables,
    ),
    Rule(
        id="tables.updated_at",
        tier="silver",
        title="Tables whose rows change have updated_at",
        why="Synchronization and support both ask what changed since.",
        fix="Add the column: protect_table's trigger keeps it. A table whose rows never change gives the application no"
        ' UPDATE: protect_table("<table>", privileges="SELECT, INSERT").',
        needs="platform",
        check=_updated_at,
        applies=_has_tables,
    ),
    Rule(
        id="tables.drift",
        tier="silver",
        title="The tables that it declares are those that its migrations make",
        why="Queries that are built from a declaration fail on a table that looks otherwise.",
        fix="Bring the Piccolo table and the migrations together: names, types, and what may be null.",
        needs="platform",
        check=check_drift,
        applies=_has_tables,
    ),
    Rule(
        id="migrations.there_and_back",
        tier="silver",
        title="Its migrations run forward, back and forward again",
        why="Whoever goes back to an earlier version, or removes the plugin with its data, must be left with what was"
        " there before.",
        fix="Undo in `backwards` all that `forwards` does, last first: functions and types too.",
        needs="platform",
        check=check_migrations,
        applies=_has_tables,
        timeout=120.0,
    ),
)
