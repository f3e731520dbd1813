"""Bringing seeds and recovery codes under another master key."""

from typing import Any

from pegboard.factors.repository import recovery_row, totp_row
from pegboard.vault.vault import Vault

__all__ = ("reseal_factors",)

_ROWS = {"kernel_totp_seeds": totp_row, "kernel_recovery_codes": recovery_row}


async def reseal_factors(connection: Any, vault: Vault, *, batch: int = 500) -> int:
    """Bring up to `batch` seeds and codes of each kind under the current master key, over a *system* connection in a
    transaction; gives how many. Call it until it gives 0.

    Raises:
        VaultError: one can't be opened.
    """
    done = 0
    for table, bound in _ROWS.items():
        rows = await connection.fetch(
            f"SELECT id, tenant_id, envelope FROM {table} WHERE key_id <> $1 LIMIT $2 FOR UPDATE SKIP LOCKED",  # noqa: S608  # a constant
            vault.key_id,
            batch,
        )
        await connection.executemany(
            f"UPDATE {table} SET key_id = $2, envelope = $3 WHERE id = $1",  # noqa: S608  # a constant
            [
                (
                    row["id"],
                    vault.key_id,
                    vault.rotate(row["envelope"], associated_data=bound(row["tenant_id"], row["id"])),
                )
                for row in rows
            ],
        )
        done += len(rows)
    return done
