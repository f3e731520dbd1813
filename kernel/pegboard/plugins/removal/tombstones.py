"""Tombstones: what is left to say of a purged plugin's records that other plugins refer to."""

from typing import Any

import asyncpg
import structlog

from pegboard.records.references import reference_sources

__all__ = ("count_references", "write_tombstones")

log = structlog.get_logger("pegboard.plugins")

_TYPES = """
SELECT name, format('%I', relation) AS relation, format('%I', key) AS key, label,
       kernel_key_within('tombstone.reference', relation, key) AS wanted
FROM kernel_record_types
WHERE plugin = $1 AND to_regclass(format('%I', relation)) IS NOT NULL ORDER BY name
"""


async def count_references(connection: Any, plugin: str) -> tuple[int, list[str]]:
    """How many references other plugins hold to the plugin's records, over all tenants; and which can't be counted,
    since their plugins declare them wrongly: a sentence each.
    """
    count = 0
    sources, wrong = await reference_sources(connection, [plugin])
    for one in sources:
        count += await connection.fetchval(
            f"SELECT count(DISTINCT (tenant_id, {one.reference})) FROM {one.relation} WHERE {one.to}",  # noqa: S608  # quoted
            plugin,
        )
    return count, wrong


async def write_tombstones(connection: Any, plugin: str) -> int:
    """Write one for each reference that others hold, with what the record is called now; gives how many.

    Call it before the tables go. Where a record is gone already, an earlier tombstone keeps its label. Where the
    declaration of a record type does not work, they have none; where that of a column doesn't, there are no tombstones.
    """
    sources, wrong = await reference_sources(connection, [plugin])
    if wrong:
        log.warning("tombstones.unread", plugin=plugin, problems=wrong)
    for one in sources:
        await connection.execute(
            f"""
            INSERT INTO kernel_tombstones (tenant_id, reference, plugin)
            SELECT DISTINCT tenant_id, {one.reference}, $1::text FROM {one.relation} WHERE {one.to}
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
            AND {one["relation"]}.{one["key"]} = {one["wanted"]}
        ), tombstone.label)
        WHERE plugin = $1 AND split_part(reference, ':', 1) = $2
        """,  # noqa: S608  # the plugin's own declaration, which the kernel runs for live records too
        plugin,
        one["name"],
    )
