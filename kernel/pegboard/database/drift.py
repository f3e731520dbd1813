"""Compares tables as they are declared with tables as migrations made them."""

from collections.abc import Sequence
from typing import Any

from pegboard_sdk.database import PiccoloApp

__all__ = ("find_drift",)


async def find_drift(connection: Any, apps: Sequence[PiccoloApp]) -> list[str]:
    """Where the apps' Piccolo tables differ from the database in names, types or nullability: a sentence each.

    `connection` is the owner's (asyncpg). What Piccolo can't declare, such as policies, triggers, composite keys and
    partial indexes, is `tenancy.tenancy_problems`' matter.
    """
    actual = await _actual(connection)
    found: list[str] = []
    declared: set[str] = set()
    for app in apps:
        for table in app.tables:
            name = table._meta.tablename
            declared.add(name)
            if not name.startswith(f"{app.name}_"):
                found.append(f"{name}: a table of {app.name} must be named {app.name}_…")
            if name not in actual:
                found.append(f"{name}: declared by {table.__name__}, and no migration makes it")
                continue
            wanted = await _declared(connection, table)
            have, generated = actual[name]
            found += [f"{name}.{column}: declared, and not in the database" for column in wanted.keys() - have.keys()]
            # Piccolo would write to a column that it knows: those that PostgreSQL computes need not be declared.
            undeclared = have.keys() - wanted.keys() - generated
            found += [f"{name}.{column}: in the database, and not declared" for column in undeclared]
            found += [
                f"{name}.{column}: declared {wanted[column]}, in the database {have[column]}"
                for column in wanted.keys() & have.keys()
                if wanted[column] != have[column]
            ]
    for name in actual.keys() - declared:
        owner = max((app.name for app in apps if name.startswith(f"{app.name}_")), key=len, default=None)
        if owner is not None:
            found.append(f"{name}: in the database, and {owner} does not declare it")
    return sorted(found)


async def _actual(connection: Any) -> dict[str, tuple[dict[str, str], set[str]]]:
    """By table: what its columns are, and which of them are generated."""
    rows = await connection.fetch(
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
               a.attgenerated <> '' AS generated
        FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        """
    )
    tables: dict[str, tuple[dict[str, str], set[str]]] = {}
    for row in rows:
        columns, generated = tables.setdefault(row["relname"], ({}, set()))
        if row["attname"] is not None:
            columns[row["attname"]] = _describe(row["type"], not row["attnotnull"])
        if row["generated"]:
            generated.add(row["attname"])
    return tables


async def _declared(connection: Any, table: Any) -> dict[str, str]:
    """The columns as PostgreSQL would make them: it knows best what a type is called."""
    columns = {column._meta.db_column_name: column for column in table._meta.columns}
    body = ", ".join(f'"{name}" {column.column_type}' for name, column in columns.items())
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"CREATE TEMPORARY TABLE pegboard_drift ({body})")
        rows = await connection.fetch(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = 'pg_temp.pegboard_drift'::regclass AND attnum > 0"
        )
    finally:
        await transaction.rollback()
    return {row["attname"]: _describe(row["type"], columns[row["attname"]]._meta.null) for row in rows}


def _describe(type: str, null: bool) -> str:
    return f"{type}{' NULL' if null else ' NOT NULL'}"
