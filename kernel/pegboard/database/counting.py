"""How many rows a table has, without reading all of a big one."""

from typing import Any

__all__ = ("COUNTED", "count_exactly", "count_roughly")

COUNTED = 10_000
"""Up to so many rows are counted; of bigger tables PostgreSQL's estimate is given."""

# A partitioned table has its rows in its partitions.
_ESTIMATE = """
SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class
WHERE relkind = 'r' AND (oid = to_regclass($1) OR oid IN (SELECT relid FROM pg_partition_tree(to_regclass($1))))
"""


async def count_exactly(connection: Any, table: str) -> int:
    """All rows of a table, whose name is quoted by PostgreSQL."""
    return await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608  # quoted by PostgreSQL


async def count_roughly(connection: Any, table: str) -> tuple[int, bool]:
    """The rows of a table, whose name is quoted by PostgreSQL, and whether that is an estimate, as for big ones."""
    estimate = await connection.fetchval(_ESTIMATE, table)
    if estimate > COUNTED:
        return estimate, True
    rows = await connection.fetchval(
        f"SELECT count(*) FROM (SELECT FROM {table} LIMIT $1) counted",  # noqa: S608  # quoted by PostgreSQL
        COUNTED + 1,
    )
    return rows, rows > COUNTED
