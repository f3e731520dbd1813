"""A made-up row for any table."""

from typing import Any
from uuid import UUID

import asyncpg
from pegboard_sdk.ids import new_id

__all__ = ("insert_row",)

_COLUMNS = """
SELECT a.attname AS name, format_type(t.oid, NULL) AS type, t.typtype,
       (SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder LIMIT 1) AS label,
       substring(pg_get_constraintdef(c.oid) FROM '''([^'']*)''::text') AS allowed
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN LATERAL (SELECT oid FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'c'
                   AND a.attnum = ANY (c.conkey) ORDER BY cardinality(c.conkey), oid LIMIT 1) c ON true
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef
AND a.attidentity = ''
"""
_VALUES: dict[str, Any] = {
    "boolean": "true",
    "bytea": "\\x00",
    "json": "{}",
    "jsonb": "{}",
    "date": "2026-01-02",
    "interval": "1 day",
    "inet": "192.0.2.1",
    "tsvector": "a",
}


async def insert_row(connection: asyncpg.Connection, table: str, tenant: UUID) -> bool:
    """Put a row of `tenant` into `table`, as a superuser and past triggers and foreign keys. Whether it was possible.

    `connection` is in a transaction; false where the table has no tenant, or a check that no made-up row passes.
    """
    columns = await connection.fetch(_COLUMNS, table)
    values = {row["name"]: _value(row, tenant) for row in columns}
    values.setdefault("tenant_id", str(tenant))
    names = ", ".join(f'"{name}"' for name in values)
    texts = ", ".join(f"'{value}'" for value in values.values())
    attempt = connection.transaction()
    await attempt.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({texts})")  # noqa: S608  # made of the catalog
    except (
        asyncpg.IntegrityConstraintViolationError,
        asyncpg.UndefinedColumnError,
        asyncpg.UndefinedTableError,
        asyncpg.DataError,
    ):
        await attempt.rollback()
        return False
    await attempt.commit()
    return True


def _value(column: Any, tenant: UUID) -> str:
    if column["name"] == "tenant_id":
        return str(tenant)
    kind = column["type"]
    if kind == "uuid":
        return str(new_id())
    if column["typtype"] == "e":
        return column["label"]
    if kind.endswith("[]"):
        return "{}"
    if kind.startswith("timestamp"):
        return "2026-01-02 03:04:05Z"
    if kind in _VALUES:
        return _VALUES[kind]
    if kind in ("text", "character varying", "character"):
        return column["allowed"] or "EUR"
    return "1"
