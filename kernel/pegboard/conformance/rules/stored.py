"""Tables and migrations, as they are in a database."""

import asyncpg

from pegboard.conformance.dynamic.migrations import check_drift, check_migrations
from pegboard.conformance.rule import Rule
from pegboard.conformance.subject import Subject

__all__ = ("RULES", "has_tables")


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


def has_tables(subject: Subject) -> str | None:
    """These rules say nothing of a plugin without tables."""
    return None if subject.tables else "it has no tables"


RULES = (
    Rule(
        id="tables.updated_at",
        tier="silver",
        title="Tables whose rows change have updated_at",
        why="Synchronization and support both ask what changed since.",
        fix="Add the column: protect_table's trigger keeps it. A table whose rows never change gives the application no"
        ' UPDATE: protect_table("<table>", privileges="SELECT, INSERT").',
        needs="platform",
        check=_updated_at,
        applies=has_tables,
    ),
    Rule(
        id="tables.drift",
        tier="silver",
        title="The tables that it declares are those that its migrations make",
        why="Queries that are built from a declaration fail on a table that looks otherwise.",
        fix="Bring the Piccolo table and the migrations together: names, types, and what may be null.",
        needs="platform",
        check=check_drift,
        applies=has_tables,
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
        applies=has_tables,
        timeout=120.0,
    ),
)
