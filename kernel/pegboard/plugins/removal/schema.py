"""A table's definition for an export: enough to make it again, and to read its rows without Pegboard."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

__all__ = ("Column", "Constraint", "TableSchema", "read_schema")

Encoding = Literal["number", "boolean", "json", "text"]
"""How values are written: `text` is PostgreSQL's own text of the value, in a JSON string."""

_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS default,
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generated,
       CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
       CASE WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN 'number'
            WHEN a.atttypid = 'bool'::regtype THEN 'boolean' WHEN a.atttypid = 'jsonb'::regtype THEN 'json'
            ELSE 'text' END AS encoding
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_CONSTRAINTS = """
SELECT c.conname AS name, pg_get_constraintdef(c.oid) AS definition,
       CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key'
                      WHEN 'c' THEN 'check' ELSE 'exclusion' END AS kind,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (number, place)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY place) AS columns
FROM pg_constraint c WHERE c.conrelid = $1 AND c.contype IN ('p', 'u', 'f', 'c', 'x') ORDER BY c.conname
"""

_INDEXES = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1 ORDER BY 1"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column. `type` is PostgreSQL's. One with `generated` is computed: its values are not among the rows."""

    name: str
    type: str
    nullable: bool
    encoding: Encoding
    default: str | None
    generated: str | None
    identity: str | None


class Constraint(msgspec.Struct, frozen=True, kw_only=True):
    """A key or a check, as PostgreSQL words it."""

    name: str
    kind: str
    columns: Sequence[str]
    definition: str


class TableSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A table. `table` is its name with its schema."""

    table: str
    columns: Sequence[Column]
    constraints: Sequence[Constraint]
    indexes: Sequence[str]


async def read_schema(connection: Any, table: str, number: int) -> TableSchema:
    """The definition of the table with this number in the catalog."""
    return TableSchema(
        table=table,
        columns=[Column(**row) for row in await connection.fetch(_COLUMNS, number)],
        constraints=[Constraint(**row) for row in await connection.fetch(_CONSTRAINTS, number)],
        indexes=[row[0] for row in await connection.fetch(_INDEXES, number)],
    )
