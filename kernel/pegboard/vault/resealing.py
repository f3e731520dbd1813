"""Bringing what the database keeps sealed under another master key, while the platform serves."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pegboard.vault.vault import Vault

__all__ = ("Envelopes",)


class Envelopes(msgspec.Struct, frozen=True, kw_only=True):
    """Envelopes in a column of a table that has `id` and `key_id` beside it.

    `kind` is what people call them. `reads` are the columns that `bound` makes the associated data from.
    """

    kind: str
    table: str
    column: str
    reads: Sequence[str]
    bound: Callable[..., bytes]

    async def by_key(self, connection: Any) -> dict[str, int]:
        """How many there are under each master key, by the key's id. Over a *system* connection, as all here."""
        rows = await connection.fetch(
            f"SELECT key_id, count(*) AS rows FROM {self.table} WHERE key_id IS NOT NULL GROUP BY key_id"  # noqa: S608  # fixed names
        )
        return {row["key_id"]: row["rows"] for row in rows}

    async def reseal(self, connection: Any, vault: Vault, *, batch: int = 500) -> int:
        """Bring up to `batch` under the current master key, in the caller's transaction; gives how many. Call it until
        it gives 0. Each keeps its text, and opens before, meanwhile and after.

        Raises:
            VaultError: one can't be opened; nothing of the batch is changed.
        """
        rows = await connection.fetch(
            f"""
            SELECT id, {self.column} AS envelope, {", ".join(self.reads)} FROM {self.table}
            WHERE key_id <> $1 ORDER BY id LIMIT $2 FOR NO KEY UPDATE
            """,  # noqa: S608  # fixed names
            vault.key_id,
            batch,
        )
        await connection.executemany(
            f"UPDATE {self.table} SET key_id = $2, {self.column} = $3 WHERE id = $1",  # noqa: S608  # fixed names
            [
                (
                    row["id"],
                    vault.key_id,
                    vault.rotate(row["envelope"], associated_data=self.bound(*(row[name] for name in self.reads))),
                )
                for row in rows
            ],
        )
        return len(rows)
