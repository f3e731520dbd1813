"""The queries of accounts' factors: authenticator apps, recovery codes, passkeys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record

from pegboard.vault.resealing import Envelopes

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

    from pegboard.vault.vault import Vault

__all__ = ("RECOVERY_CODES", "TOTP_SEEDS", "FactorRepository", "recovery_row", "totp_row")

_PASSKEY = "id, label, backed_up, created_at, last_used_at"


class FactorRepository:
    """Over one unit of work."""

    def __init__(self, uow: "UnitOfWork", vault: "Vault") -> None:
        self._uow = uow
        self._tenant = uow.tenant_id
        self._vault = vault

    async def available(self, account_id: UUID) -> Record:
        """What the account can prove: `totp`, `passkeys` (how many) and `recovery_codes` (how many are left)."""
        row = await self._uow.fetchrow(
            """
            SELECT EXISTS (SELECT FROM kernel_totp_seeds
                           WHERE tenant_id = $1 AND account_id = $2 AND confirmed_at IS NOT NULL) AS totp,
                   (SELECT count(*) FROM kernel_passkeys WHERE tenant_id = $1 AND account_id = $2) AS passkeys,
                   (SELECT count(*) FROM kernel_recovery_codes
                    WHERE tenant_id = $1 AND account_id = $2 AND used_at IS NULL) AS recovery_codes
            """,
            self._tenant,
            account_id,
        )
        assert row is not None, "a SELECT without FROM gives its row"
        return row

    # Authenticator apps

    async def replace_pending_seed(self, account_id: UUID, seed: bytes) -> None:
        """An app is being set up; one that was being set up is not any more."""
        await self.delete_seed(account_id, confirmed=False)
        seed_id = new_id()
        await self._uow.execute(
            """
            INSERT INTO kernel_totp_seeds (id, tenant_id, account_id, key_id, envelope) VALUES ($1, $2, $3, $4, $5)
            """,
            seed_id,
            self._tenant,
            account_id,
            self._vault.key_id,
            self._vault.encrypt(seed, associated_data=totp_row(self._tenant, seed_id)),
        )

    async def seed(
        self, account_id: UUID, *, confirmed: bool, max_age: int | None = None
    ) -> tuple[UUID, bytes, int] | None:
        """The id, seed and last step of an app, held until the end; not one that was made more than `max_age` seconds
        ago.

        Raises:
            VaultError: it can't be opened.
        """
        row = await self._uow.fetchrow(
            """
            SELECT id, envelope, last_step FROM kernel_totp_seeds
            WHERE tenant_id = $1 AND account_id = $2 AND (confirmed_at IS NOT NULL) = $3
              AND ($4::int IS NULL OR created_at > now() - make_interval(secs => $4))
            FOR NO KEY UPDATE
            """,
            self._tenant,
            account_id,
            confirmed,
            max_age,
        )
        if row is None:
            return None
        seed = self._vault.decrypt(row["envelope"], associated_data=totp_row(self._tenant, row["id"]))
        return row["id"], seed, row["last_step"]

    async def use_seed(self, seed_id: UUID, step: int) -> None:
        """The code of `step` was taken, and with it the app is confirmed. Read the seed first: it is held since."""
        await self._uow.execute(
            """
            UPDATE kernel_totp_seeds
            SET last_step = $3, last_used_at = now(), confirmed_at = coalesce(confirmed_at, now())
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            seed_id,
            step,
        )

    async def delete_seed(self, account_id: UUID, *, confirmed: bool) -> bool:
        """Forget an app; whether there was one."""
        tag = await self._uow.execute(
            "DELETE FROM kernel_totp_seeds"
            " WHERE tenant_id = $1 AND account_id = $2 AND (confirmed_at IS NOT NULL) = $3",
            self._tenant,
            account_id,
            confirmed,
        )
        return tag != "DELETE 0"

    async def totp(self, account_id: UUID) -> Record | None:
        """`created_at` and `last_used_at` of the app that is confirmed."""
        return await self._uow.fetchrow(
            """
            SELECT confirmed_at AS created_at, last_used_at FROM kernel_totp_seeds
            WHERE tenant_id = $1 AND account_id = $2 AND confirmed_at IS NOT NULL
            """,
            self._tenant,
            account_id,
        )

    # Recovery codes

    async def replace_recovery_codes(self, account_id: UUID, digests: Sequence[bytes]) -> None:
        """These are the account's recovery codes, and no others."""
        await self._uow.execute(
            "DELETE FROM kernel_recovery_codes WHERE tenant_id = $1 AND account_id = $2", self._tenant, account_id
        )
        ids = [new_id() for _ in digests]
        await self._uow.executemany(
            """
            INSERT INTO kernel_recovery_codes (id, tenant_id, account_id, key_id, envelope) VALUES ($1, $2, $3, $4, $5)
            """,
            [
                (
                    code_id,
                    self._tenant,
                    account_id,
                    self._vault.key_id,
                    self._vault.encrypt(digest, associated_data=recovery_row(self._tenant, code_id)),
                )
                for code_id, digest in zip(ids, digests, strict=True)
            ],
        )

    async def unused_recovery_codes(self, account_id: UUID) -> list[tuple[UUID, bytes]]:
        """Ids and digests of the codes that are left, held until the end.

        Raises:
            VaultError: one can't be opened.
        """
        rows = await self._uow.fetch(
            """
            SELECT id, envelope FROM kernel_recovery_codes
            WHERE tenant_id = $1 AND account_id = $2 AND used_at IS NULL ORDER BY id FOR NO KEY UPDATE
            """,
            self._tenant,
            account_id,
        )
        return [
            (row["id"], self._vault.decrypt(row["envelope"], associated_data=recovery_row(self._tenant, row["id"])))
            for row in rows
        ]

    async def use_recovery_code(self, code_id: UUID) -> None:
        """The code was taken. Read the codes first: they are held since."""
        await self._uow.execute(
            "UPDATE kernel_recovery_codes SET used_at = now() WHERE tenant_id = $1 AND id = $2", self._tenant, code_id
        )

    # Passkeys

    async def insert_passkey(
        self,
        account_id: UUID,
        *,
        label: str,
        credential_id: bytes,
        public_key: bytes,
        sign_count: int,
        transports: Sequence[str],
        backed_up: bool,
    ) -> Record | None:
        """A new passkey, or None where it is known already."""
        return await self._uow.fetchrow(
            f"""
            INSERT INTO kernel_passkeys
                (id, tenant_id, account_id, label, credential_id, public_key, sign_count, transports, backed_up)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (tenant_id, credential_id) DO NOTHING
            RETURNING {_PASSKEY}
            """,  # noqa: S608  # a constant
            new_id(),
            self._tenant,
            account_id,
            label,
            credential_id,
            public_key,
            sign_count,
            list(transports),
            backed_up,
        )

    async def passkeys(self, account_id: UUID) -> list[Record]:
        """The account's passkeys, oldest first."""
        return await self._uow.fetch(
            f"SELECT {_PASSKEY} FROM kernel_passkeys WHERE tenant_id = $1 AND account_id = $2 ORDER BY id",  # noqa: S608
            self._tenant,
            account_id,
        )

    async def descriptors(self, account_id: UUID) -> list[Record]:
        """`credential_id` and `transports` of the account's passkeys."""
        return await self._uow.fetch(
            "SELECT credential_id, transports FROM kernel_passkeys"
            " WHERE tenant_id = $1 AND account_id = $2 ORDER BY id",
            self._tenant,
            account_id,
        )

    async def owner_of(self, credential_id: bytes) -> UUID | None:
        """The account whose passkey has a credential's id."""
        return await self._uow.fetchval(
            "SELECT account_id FROM kernel_passkeys WHERE tenant_id = $1 AND credential_id = $2",
            self._tenant,
            credential_id,
        )

    async def passkey(self, account_id: UUID, credential_id: bytes) -> Record | None:
        """`id`, `public_key`, `sign_count` and `label` of a passkey of the account, held until the end."""
        return await self._uow.fetchrow(
            """
            SELECT id, public_key, sign_count, label FROM kernel_passkeys
            WHERE tenant_id = $1 AND account_id = $2 AND credential_id = $3 FOR NO KEY UPDATE
            """,
            self._tenant,
            account_id,
            credential_id,
        )

    async def use_passkey(self, passkey_id: UUID, *, sign_count: int, backed_up: bool) -> None:
        """The passkey has signed."""
        await self._uow.execute(
            """
            UPDATE kernel_passkeys SET sign_count = $3, backed_up = $4, last_used_at = now()
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            passkey_id,
            sign_count,
            backed_up,
        )

    async def rename_passkey(self, account_id: UUID, passkey_id: UUID, label: str) -> Record | None:
        """The passkey under its new label, or None where the account has no such."""
        return await self._uow.fetchrow(
            f"UPDATE kernel_passkeys SET label = $4 WHERE tenant_id = $1 AND account_id = $2 AND id = $3"  # noqa: S608
            f" RETURNING {_PASSKEY}",
            self._tenant,
            account_id,
            passkey_id,
            label,
        )

    async def delete_passkey(self, account_id: UUID, passkey_id: UUID) -> bool:
        """Forget a passkey; whether the account had it."""
        tag = await self._uow.execute(
            "DELETE FROM kernel_passkeys WHERE tenant_id = $1 AND account_id = $2 AND id = $3",
            self._tenant,
            account_id,
            passkey_id,
        )
        return tag == "DELETE 1"

    async def delete_all(self, account_id: UUID) -> None:
        """Forget all that an account can prove by."""
        for table in ("kernel_totp_seeds", "kernel_recovery_codes", "kernel_passkeys"):
            await self._uow.execute(
                f"DELETE FROM {table} WHERE tenant_id = $1 AND account_id = $2",  # noqa: S608  # one of three names
                self._tenant,
                account_id,
            )


def totp_row(tenant_id: UUID, seed_id: UUID) -> bytes:
    """What a seed's envelope is bound to."""
    return b"totp-seed\x00" + tenant_id.bytes + seed_id.bytes


def recovery_row(tenant_id: UUID, code_id: UUID) -> bytes:
    """What the envelope of a recovery code's digest is bound to."""
    return b"recovery-code\x00" + tenant_id.bytes + code_id.bytes


TOTP_SEEDS = Envelopes(
    kind="seeds of authenticator apps",
    table="kernel_totp_seeds",
    column="envelope",
    reads=("tenant_id", "id"),
    bound=totp_row,
)
RECOVERY_CODES = Envelopes(
    kind="recovery codes",
    table="kernel_recovery_codes",
    column="envelope",
    reads=("tenant_id", "id"),
    bound=recovery_row,
)
