"""Bringing the sealed digests of keys and secrets under another master key. The keys and secrets stay as they are."""

from typing import Any

from pegboard.machines.verification import associated_data
from pegboard.vault.vault import Vault

__all__ = ("reseal_credentials",)

_BATCH = 500


async def reseal_credentials(connection: Any, vault: Vault) -> int:
    """Seal a batch of digests under the current master key, over a *system* connection in a transaction; gives how
    many: call it until that is 0.

    Raises:
        VaultError: one can't be opened.
    """
    rows = await connection.fetch(
        """
        SELECT id, digest FROM kernel_machine_credentials WHERE key_id <> $1
        ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        vault.key_id,
        _BATCH,
    )
    await connection.executemany(
        "UPDATE kernel_machine_credentials SET digest = $2, key_id = $3 WHERE id = $1",
        [
            (row["id"], vault.rotate(row["digest"], associated_data=associated_data(row["id"])), vault.key_id)
            for row in rows
        ],
    )
    return len(rows)
