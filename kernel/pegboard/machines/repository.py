"""Every query of machines' credentials that runs in a unit of work, as its tenant."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record, UnitOfWork

from pegboard.machines.public_keys import PublicKey

__all__ = ("CredentialRepository",)

_CREDENTIAL = """
SELECT c.id, c.account_id, c.kind, c.public_id, c.public_key, c.scopes, c.rate, c.replaced_by, c.created_at,
       s.label, s.expires_at, s.revoked_at, nullif(s.last_used_at, s.created_at) AS last_used_at,
       CASE WHEN s.revoked_at IS NOT NULL THEN 'revoked' WHEN s.expires_at <= now() THEN 'expired'
            WHEN c.replaced_by IS NOT NULL THEN 'replaced' ELSE 'active' END AS state,
       extract(epoch FROM s.expires_at - c.created_at)::bigint AS lifetime
FROM kernel_machine_credentials c
JOIN kernel_sessions s ON s.tenant_id = c.tenant_id AND s.id = c.id
WHERE c.tenant_id = $1
"""


class CredentialRepository:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    async def service_accounts(self, *, after: UUID | None, limit: int) -> list[Record]:
        """Service accounts with their roles, newest first."""
        return await self._uow.fetch(
            """
            SELECT a.id, a.display_name, a.status, a.created_at,
                   array(
                       SELECT g.role FROM kernel_role_grants g
                       WHERE g.tenant_id = a.tenant_id AND g.account_id = a.id ORDER BY g.role
                   ) AS roles
            FROM kernel_accounts a
            WHERE a.tenant_id = $1 AND a.kind = 'service' AND ($2::uuid IS NULL OR a.id < $2)
            ORDER BY a.id DESC LIMIT $3
            """,
            self._tenant,
            after,
            limit,
        )

    async def lock_account(self, account_id: UUID) -> Record | None:
        """`kind` and `status` of an account, held until the end: what it gets is either refused when it is disabled, or
        there to be revoked then.
        """
        return await self._uow.fetchrow(
            "SELECT kind, status FROM kernel_accounts WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
            self._tenant,
            account_id,
        )

    async def count_standing(self, account_id: UUID) -> int:
        """How many credentials of the account stand."""
        return await self._uow.fetchval(
            """
            SELECT count(*) FROM kernel_machine_credentials c
            JOIN kernel_sessions s ON s.tenant_id = c.tenant_id AND s.id = c.id
            WHERE c.tenant_id = $1 AND c.account_id = $2 AND s.revoked_at IS NULL AND s.expires_at > now()
            """,
            self._tenant,
            account_id,
        )

    async def insert(
        self,
        credential_id: UUID,
        account_id: UUID,
        *,
        kind: str,
        public_id: str,
        digest: bytes | None,
        key_id: str | None,
        public_key: PublicKey | None,
        scopes: Sequence[str],
        rate: int | None,
        created_by: UUID | None,
    ) -> bool:
        """A credential whose session there is already; False where its public part is taken."""
        tag = await self._uow.execute(
            """
            INSERT INTO kernel_machine_credentials
                (id, tenant_id, account_id, kind, public_id, digest, key_id, public_key, scopes, rate, created_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (tenant_id, public_id) DO NOTHING
            """,
            credential_id,
            self._tenant,
            account_id,
            kind,
            public_id,
            digest,
            key_id,
            None if public_key is None else msgspec.json.encode(public_key).decode(),
            list(scopes),
            rate,
            created_by,
        )
        return tag == "INSERT 0 1"

    async def standing(self, account_id: UUID, kind: str, *, public_id: str | None) -> list[Record]:
        """A service account's credentials of one kind that stand, the one or all, with what they are checked by. They
        and the account are held until the end: whoever ends them waits, and then ends what was given for them too.
        """
        return await self._uow.fetch(
            """
            SELECT c.id, c.account_id, c.digest, c.public_key, c.scopes,
                   floor(extract(epoch FROM s.expires_at - now()))::int AS left
            FROM kernel_machine_credentials c
            JOIN kernel_accounts a ON a.tenant_id = c.tenant_id AND a.id = c.account_id
            JOIN kernel_sessions s ON s.tenant_id = c.tenant_id AND s.id = c.id
            WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.kind = $3 AND ($4::text IS NULL OR c.public_id = $4)
              AND a.status = 'active' AND s.revoked_at IS NULL AND s.expires_at > now()
            ORDER BY c.id FOR SHARE
            """,
            self._tenant,
            account_id,
            kind,
            public_id,
        )

    async def list(self, account_id: UUID, *, kind: str | None, after: UUID | None, limit: int) -> list[Record]:
        """An account's credentials, all or those of one kind, newest first; those that ended too."""
        return await self._uow.fetch(
            _CREDENTIAL
            + " AND c.account_id = $2 AND ($3::text IS NULL OR c.kind = $3) AND ($4::uuid IS NULL OR c.id < $4)"
            + " ORDER BY c.id DESC LIMIT $5",
            self._tenant,
            account_id,
            kind,
            after,
            limit,
        )

    async def get(self, credential_id: UUID, *, account_id: UUID) -> Record | None:
        """A credential of an account."""
        return await self._uow.fetchrow(
            _CREDENTIAL + " AND c.account_id = $2 AND c.id = $3", self._tenant, account_id, credential_id
        )

    async def lock(self, credential_id: UUID) -> None:
        """Hold a credential until the end, so that it is replaced once."""
        await self._uow.execute(
            "SELECT FROM kernel_machine_credentials WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
            self._tenant,
            credential_id,
        )

    async def replace(self, credential_id: UUID, *, by: UUID, overlap: int) -> None:
        """The credential gives way to another, and is good for `overlap` seconds more at most."""
        await self._uow.execute(
            "UPDATE kernel_machine_credentials SET replaced_by = $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant,
            credential_id,
            by,
        )
        await self._uow.execute(
            """
            UPDATE kernel_sessions SET expires_at = least(expires_at, now() + make_interval(secs => $3))
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            credential_id,
            overlap,
        )

    async def insert_token(self, account_id: UUID, credential_id: UUID, *, ttl: int, ip: str) -> UUID:
        """The session of an access token that a client gets for a credential; gives its id."""
        token_id = new_id()
        await self._uow.execute(
            """
            INSERT INTO kernel_sessions (id, tenant_id, account_id, expires_at, kind, ip, credential_id)
            VALUES ($1, $2, $3, now() + make_interval(secs => $4), 'client', $5, $6)
            """,
            token_id,
            self._tenant,
            account_id,
            ttl,
            ip,
            credential_id,
        )
        return token_id

    async def use_assertion(self, credential_id: UUID, digest: bytes, *, expires_at: int) -> bool:
        """Take note that an assertion was used; False where it was used before. `expires_at` in Unix seconds."""
        tag = await self._uow.execute(
            """
            INSERT INTO kernel_client_assertions (id, tenant_id, credential_id, digest, expires_at)
            VALUES ($1, $2, $3, $4, to_timestamp($5)) ON CONFLICT (tenant_id, credential_id, digest) DO NOTHING
            """,
            new_id(),
            self._tenant,
            credential_id,
            digest,
            expires_at,
        )
        return tag == "INSERT 0 1"

    async def delete_used_assertions(self, *, limit: int) -> int:
        """Remove up to `limit` assertions that have expired; gives how many."""
        tag = await self._uow.execute(
            """
            DELETE FROM kernel_client_assertions WHERE tenant_id = $1 AND id IN (
                SELECT id FROM kernel_client_assertions WHERE tenant_id = $1 AND expires_at < now() - interval '1 hour'
                ORDER BY expires_at LIMIT $2
            )
            """,
            self._tenant,
            limit,
        )
        return int(tag.rpartition(" ")[2])
