"""Is what is in the database what was exported? What a purge drops must be in the export, to the last character."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pegboard.database.objects import SchemaObject
from pegboard.plugins.removal.export import file_content, table_files
from pegboard.plugins.removal.rows import copy_rows, write_alike
from pegboard.plugins.removal.schema import read_schema

__all__ = ("compare_with_export",)


async def compare_with_export(
    connection: Any, tables: Sequence[SchemaObject], files: Mapping[str, str], progress: Callable[[str], None]
) -> tuple[dict[str, int], list[str]]:
    """The rows of each table, and the tables whose rows or definition aren't those in the export's `files` (SHA-256
    hashes by name). They are all read once more, in the caller's transaction, which keeps others from changing them.
    """
    await write_alike(connection)
    rows: dict[str, int] = {}
    changed: list[str] = []
    exported = {name for name in files if name.startswith("data/")}
    for table in tables:
        name = table.identity.removeprefix("public.")
        data, definition = table_files(name)
        exported.discard(data)
        progress(f"comparing {name} with the export")
        schema = await read_schema(connection, table.identity, table.address[1])
        hashed = hashlib.sha256()

        async def take(piece: bytes, hashed: Any = hashed) -> None:
            await asyncio.to_thread(hashed.update, piece)

        rows[name] = await copy_rows(connection, schema, take)
        if (files.get(data), files.get(definition)) != (
            hashed.hexdigest(),
            hashlib.sha256(file_content(schema)).hexdigest(),
        ):
            changed.append(name)
    gone = [name.removeprefix("data/").removesuffix(".ndjson") for name in exported]
    return rows, sorted([*changed, *gone])
