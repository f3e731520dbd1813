"""Where plugins keep references to others' records, as the database has it: each column read by its type.

A declaration that does not fit the database is its plugin's problem: it is named, and the other columns are read.
"""

from collections.abc import Collection
from typing import Any

import msgspec

__all__ = ("ReferenceSource", "reference_sources")

# Whether these plugins are on, off or were kept: what counts is that the table is there.
_COLUMNS = """
SELECT r.plugin, r.relation || '.' || r.attribute AS column, format('%I', r.relation) AS relation, r.record_type,
       format('%I::text', r.attribute) AS value, quote_literal(r.record_type || ':') AS prefix,
       quote_literal(split_part(r.record_type, '.', 1)) AS other, c.relkind IN ('r', 'p') AS is_table,
       has_table_privilege(c.oid, 'SELECT') AS readable, format_type(a.atttypid, NULL) AS type,
       t.typcategory = 'S' AS is_text, a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype,
       'uuid'::regtype) AS is_key, EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid
           AND o.attname = 'tenant_id' AND o.atttypid = 'uuid'::regtype AND NOT o.attisdropped) AS has_tenant
FROM kernel_reference_columns r
LEFT JOIN pg_class c ON c.oid = to_regclass(format('%I', r.relation))
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = r.attribute AND NOT a.attisdropped
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE r.plugin <> ALL ($1::text[]) ORDER BY 1, 2
"""


class ReferenceSource(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin's column of references. `relation` is its table, quoted; `reference` is SQL over a row that gives the
    reference as a text, `to` SQL that says whether it is to a record of the plugin $1.
    """

    plugin: str
    column: str
    relation: str
    reference: str
    to: str


async def reference_sources(connection: Any, without: Collection[str]) -> tuple[list[ReferenceSource], list[str]]:
    """The reference columns of all plugins but those `without`, and what is wrong with the rest: a sentence each,
    beginning with the plugin's name.
    """
    sources: list[ReferenceSource] = []
    wrong: list[str] = []
    for row in await connection.fetch(_COLUMNS, list(without)):
        problem = _problem(row)
        if problem is not None:
            wrong.append(f"{row['plugin']}: its reference column {row['column']} {problem}")
            continue
        bare, value = bool(row["record_type"]), row["value"]
        # Rows that all tenants share have no tenant whose tombstone it could be.
        to = f"{row['other']} = $1::text AND {value} <> ''" if bare else f"starts_with({value}, $1::text || '.')"
        sources.append(
            ReferenceSource(
                plugin=row["plugin"],
                column=row["column"],
                relation=row["relation"],
                reference=f"{row['prefix']} || {value}" if bare else value,
                to=f"tenant_id IS NOT NULL AND {to}",
            )
        )
    return sources, wrong


def _problem(row: Any) -> str | None:
    if row["is_table"] is None:
        return "is in a table that isn't there"
    if row["type"] is None:
        return "isn't there: the table has no such column"
    if not row["is_table"]:
        return "is in a view: name the table"
    if not row["has_tenant"]:
        return "is in a table without a tenant_id of type uuid"
    if not row["readable"]:
        return "can't be read: grant pegboard_system SELECT on its table"
    if row["is_text"] or (row["is_key"] and row["record_type"]):
        return None
    if row["is_key"]:
        return f"is of type {row['type']}, which doesn't say whose records are meant: name them with record_type"
    return f"is of type {row['type']}, which holds no references: they are text, uuid or integer"
