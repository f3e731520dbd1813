"""A table's rows as lines of JSON: PostgreSQL writes them, the same ones for the same rows every time."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pegboard.plugins.removal.schema import Column, TableSchema

__all__ = ("copy_rows", "write_alike")

# What a value's text looks like must not hang on how the server is set up; nor must the order of rows without a key on
# who else reads the table.
_ALIKE = """
SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1; SET LOCAL timezone = 'UTC'; SET LOCAL xmloption = 'content';
SET LOCAL search_path = public; SET LOCAL synchronize_seqscans = off
"""


async def write_alike(connection: Any) -> None:
    """Have this transaction write values as all exports do."""
    await connection.execute(_ALIKE)


async def copy_rows(connection: Any, schema: TableSchema, take: Callable[[bytes], Awaitable[None]]) -> int:
    """Give the table's lines to `take`, in pieces of any size; how many rows there were. See `write_alike`."""
    # CSV puts quotes around what holds the separator, the quote or a line's end. In JSON no character below the
    # space is left as it is, so that with these the lines come as they are.
    status = await connection.copy_from_query(_lines(schema), output=take, format="csv", delimiter="\x02", quote="\x01")
    return int(status.rpartition(" ")[2])


def _lines(schema: TableSchema) -> str:
    """The query that gives each row as a line. What is NULL is left out: `null` is jsonb's own."""
    pairs = [_pair(column) for column in schema.columns if column.generated is None]
    key = next((one.columns for one in schema.constraints if one.kind == "primary key"), ())
    order = f" ORDER BY {', '.join(_quoted(name) for name in key)}" if key else ""
    return f"SELECT '{{' || array_to_string(ARRAY[{', '.join(pairs)}]::text[], ',') || '}}' FROM {schema.table}{order}"  # noqa: S608  # quoted by PostgreSQL


def _pair(column: Column) -> str:
    name = _quoted(column.name)
    key = msgspec.json.encode(column.name).decode().replace("'", "''")
    value = f"{name}::text" if column.encoding != "text" else f"to_json({name}::text)::text"
    return f"'{key}:' || {value}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
