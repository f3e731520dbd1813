"""What is in the database, for tests of what must not be."""

from typing import Any

import asyncpg

__all__ = ("dump",)


async def dump(url: str) -> str:
    """Every row of every table of the database as text, bytes in hexadecimal and, where they are text, as that too."""
    connection: Any = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        parts = []
        for (table,) in tables:
            for (row,) in await connection.fetch(f"SELECT t::text FROM {table} t"):
                parts.append(row)
                parts.extend(
                    bytes.fromhex(word.strip('",\\()')).decode("latin-1")
                    for piece in row.split("\\x")[1:]
                    if len(word := piece.split(",")[0].strip('"\\()')) % 2 == 0
                )
    finally:
        await connection.close()
    return "\n".join(parts)
