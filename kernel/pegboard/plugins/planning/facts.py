"""What the database says to a plan, over a connection of the system role."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from pegboard.database.counting import COUNTED, count_roughly
from pegboard.plugins.planning.action import DataFate
from pegboard.plugins.planning.content import KeptTable, ParkedJobs, References
from pegboard.records.references import reference_sources

__all__ = ("data_of", "kept_references", "migrations_on_record", "missing_tables", "parked_jobs", "running_versions")

_FATES: Mapping[DataFate | None, Any] = {None: "kept", "keep": "kept", "export": "exported", "purge": "purged"}

# As long as the processes were not all restarted there are two versions: what runs is the one that most have.
_RUNNING = """
SELECT DISTINCT ON (key) key AS plugin, value AS version
FROM kernel_live_processes p, jsonb_each_text(p.versions)
GROUP BY key, value ORDER BY key, count(*) DESC, value
"""

_PARKED = """
SELECT plugin, name, count(*) AS count FROM kernel_jobs
WHERE plugin = ANY ($1::text[]) AND state IN ('queued', 'sent', 'running')
GROUP BY plugin, name ORDER BY plugin, name
"""

_TABLES = """
SELECT o.plugin, c.relname AS name, o.identity, pg_total_relation_size(c.oid) AS bytes
FROM kernel_plugin_objects o JOIN pg_class c ON c.oid = to_regclass(o.identity) AND c.relkind IN ('r', 'p')
WHERE o.kind = 'table' AND o.plugin = ANY ($1::text[]) ORDER BY o.plugin, c.relname
"""


async def running_versions(connection: Any) -> dict[str, str]:
    """Plugin → the version that the live processes run."""
    return {row["plugin"]: row["version"] for row in await connection.fetch(_RUNNING)}


async def parked_jobs(connection: Any, plugins: Collection[str]) -> list[ParkedJobs]:
    """The plugins' jobs that wait, by name: parked, if nobody has the job any more."""
    rows = await connection.fetch(_PARKED, list(plugins))
    return [ParkedJobs(plugin=row["plugin"], job=row["name"], count=row["count"]) for row in rows]


async def data_of(connection: Any, plugins: Collection[str], fates: Mapping[str, DataFate]) -> list[KeptTable]:
    """The tables of plugins that go. `fates` says what becomes of the data of those that are uninstalled."""
    tables: list[KeptTable] = []
    for row in await connection.fetch(_TABLES, list(plugins)):
        rows, estimated = await count_roughly(connection, row["identity"])
        tables.append(
            KeptTable(
                plugin=row["plugin"],
                table=row["name"],
                rows=rows,
                estimated=estimated,
                bytes=row["bytes"],
                fate=_FATES[fates.get(row["plugin"])],
            )
        )
    return tables


async def kept_references(connection: Any, plugins: Collection[str]) -> tuple[list[References], list[str]]:
    """References that other plugins' rows hold to records of plugins that go; and which can't be counted, since their
    plugins declare them wrongly: a sentence each.
    """
    found: list[References] = []
    sources, wrong = await reference_sources(connection, plugins)
    for source in sources:
        for plugin in sorted(plugins):
            count = await connection.fetchval(
                f"SELECT count(*) FROM (SELECT FROM {source.relation} WHERE {source.to} LIMIT $2) held",  # noqa: S608  # quoted
                plugin,
                COUNTED + 1,
            )
            if count:
                found.append(
                    References(
                        plugin=source.plugin,
                        column=source.column,
                        to=plugin,
                        count=min(count, COUNTED),
                        at_least=count > COUNTED,
                    )
                )
    return found, wrong


async def migrations_on_record(connection: Any) -> tuple[dict[str, set[str]], str]:
    """App → ids of the migrations that have run, and a hash of all that."""
    rows = await connection.fetch("SELECT app_name, name FROM migration ORDER BY app_name, name")
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["app_name"], set()).add(row["name"])
    text = "\n".join(f"{row['app_name']} {row['name']}" for row in rows)
    return found, hashlib.sha256(text.encode()).hexdigest()


async def missing_tables(connection: Any, tables: Collection[str]) -> list[str]:
    """Which of the tables are not there (yet)."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) name WHERE to_regclass('public.' || quote_ident(name)) IS NULL ORDER BY 1",
        list(tables),
    )
    return [row["name"] for row in rows]
