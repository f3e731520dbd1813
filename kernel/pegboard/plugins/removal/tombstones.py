"""Tombstones: what is left to say of a purged plugin's records that other plugins refer to."""

from typing import Any

import asyncpg
import structlog

__all__ = ("count_references", "write_tombstones")

log = structlog.get_logger("pegboard.plugins")

# Others' columns, whether these plugins are on, off or were kept: what counts is that the table is there.
_COLUMNS = """
SELECT format('%I', c.relation) AS relation, format('%I', c.attribute) AS attribute
FROM kernel_reference_columns c JOIN pg_attribute a ON a.attrelid = to_regclass(c.relation) AND a.attname = c.attribute
WHERE c.plugin <> $1 ORDER BY 1, 2
"""

_TYPES = """
SELECT name, format('%I', relation) AS relation, format('%I', key) AS key, label FROM kernel_record_types
WHERE plugin = $1 AND to_regclass(relation) IS NOT NULL ORDER BY name
"""


async def count_references(connection: Any, plugin: str) -> int:
    """How many references other plugins hold to the plugin's records, over all tenants."""
    count = 0
    for column in await connection.fetch(_COLUMNS, plugin):
        count += await connection.fetchval(
            f"SELECT count(DISTINCT (tenant_id, {column['attribute']})) FROM {column['relation']}"  # noqa: S608  # quoted
            f" WHERE starts_with({column['attribute']}, $1 || '.')",
            plugin,
        )
    return count


async def write_tombstones(connection: Any, plugin: str) -> int:
    """Write one for each reference that others hold, with what the record is called now; gives how many.

    Call it before the tables go. Where a record is gone already, an earlier tombstone keeps its label. Where
    a declaration does not work, the tombstones have none.
    """
    for column in await connection.fetch(_COLUMNS, plugin):
        await connection.execute(
            f"""
            INSERT INTO kernel_tombstones (tenant_id, reference, plugin)
            SELECT DISTINCT tenant_id, {column["attribute"]}, $1 FROM {column["relation"]}
            WHERE starts_with({column["attribute"]}, $1 || '.')
            ON CONFLICT (tenant_id, reference) DO UPDATE SET purged_at = now()
            """,  # noqa: S608  # quoted
            plugin,
        )
    for one in await connection.fetch(_TYPES, plugin):
        try:
            async with connection.transaction():
                await _label(connection, plugin, one)
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError, asyncpg.RaiseError) as error:
            log.warning("tombstones.unlabelled", record_type=one["name"], error=str(error))
    return await connection.fetchval(
        "SELECT count(*) FROM kernel_tombstones WHERE plugin = $1 AND purged_at = now()", plugin
    )


async def _label(connection: Any, plugin: str, one: Any) -> None:
    """Name the tombstones of one record type."""
    # In the sub-query a name means the record's column, as in its declaration.
    await connection.execute(
        f"""
        UPDATE kernel_tombstones tombstone SET label = coalesce((
            SELECT ({one["label"]})::text FROM {one["relation"]}
            WHERE {one["relation"]}.tenant_id = tombstone.tenant_id
            AND {one["relation"]}.{one["key"]} = kernel_referenced_id(tombstone.reference)
        ), tombstone.label)
        WHERE plugin = $1 AND split_part(reference, ':', 1) = $2
        """,  # noqa: S608  # the plugin's own declaration, which the kernel runs for live records too
        plugin,
        one["name"],
    )
