"""Every query of accounts, roles, sessions and refresh tokens.

All run as the work's tenant, under row-level security.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record, UnitOfWork

from pegboard.identity.devices import UNKNOWN, Device

__all__ = ("IdentityRepository", "RevokeReason", "SessionKind")

RevokeReason = Literal["logout", "reuse", "roles", "disabled", "owner", "password", "factors", "administrator"]
SessionKind = Literal["log_in", "api_key", "client"]

_ACCOUNT = """
SELECT a.id, a.tenant_id, a.kind, a.email, a.email_verified_at, a.display_name, a.status, a.created_at,
       array(
           SELECT g.role FROM kernel_role_grants g
           WHERE g.tenant_id = a.tenant_id AND g.account_id = a.id ORDER BY g.role
       ) AS roles
FROM kernel_accounts a WHERE a.tenant_id = $1
"""

_LOCK = "SELECT email, email_verified_at, status, password_hash FROM kernel_accounts WHERE tenant_id = $1 AND id = $2"
_LOCK_FOR_SESSION = _LOCK + " FOR SHARE"
_LOCK_FOR_CHANGE = _LOCK + " FOR NO KEY UPDATE"


class IdentityRepository:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    # Accounts and roles

    async def insert_account(
        self, *, email: str | None, password_hash: str | None, display_name: str, verified: bool = True
    ) -> Record | None:
        """A new account's `id` and `created_at`, or None where the address is taken. `verified`: it is proven. Without
        an address it is a service account, and None is given where its name is taken.
        """
        return await self._uow.fetchrow(
            """
            INSERT INTO kernel_accounts (id, tenant_id, kind, email, password_hash, display_name, email_verified_at)
            VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7 THEN now() END)
            ON CONFLICT DO NOTHING
            RETURNING id, created_at
            """,
            new_id(),
            self._tenant,
            "service" if email is None else "person",
            email,
            password_hash,
            display_name,
            verified and email is not None,
        )

    async def account(self, account_id: UUID) -> Record | None:
        """An account with its roles."""
        return await self._uow.fetchrow(_ACCOUNT + " AND a.id = $2", self._tenant, account_id)

    async def account_by_email(self, email: str) -> Record | None:
        """An account with its roles, by its address in any case."""
        return await self._uow.fetchrow(_ACCOUNT + " AND lower(a.email) = lower($2)", self._tenant, email)

    async def accounts(self, *, after: UUID | None, email: str | None, limit: int) -> list[Record]:
        """Accounts with their roles, newest first."""
        return await self._uow.fetch(
            _ACCOUNT
            + " AND ($2::uuid IS NULL OR a.id < $2) AND ($3::text IS NULL OR lower(a.email) = lower($3))"
            + " ORDER BY a.id DESC LIMIT $4",
            self._tenant,
            after,
            email,
            limit,
        )

    async def credentials(self, email: str) -> Record | None:
        """`id` and `password_hash` of an address in any case."""
        return await self._uow.fetchrow(
            "SELECT id, password_hash FROM kernel_accounts WHERE tenant_id = $1 AND lower(email) = lower($2)",
            self._tenant,
            email,
        )

    async def lock_account(self, account_id: UUID, *, change: bool) -> Record | None:
        """`email`, `email_verified_at`, `status` and `password_hash`, held until the end: shared while a session opens,
        alone for a change.

        So a session that opens while its account is being disabled is either refused, or there to be revoked.
        """
        sql = _LOCK_FOR_CHANGE if change else _LOCK_FOR_SESSION
        return await self._uow.fetchrow(sql, self._tenant, account_id)

    async def set_password_hash(self, account_id: UUID, password_hash: str) -> None:
        """Replace a hash. Lock the account first, for change."""
        await self._uow.execute(
            "UPDATE kernel_accounts SET password_hash = $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant,
            account_id,
            password_hash,
        )

    async def set_email(self, account_id: UUID, email: str) -> bool:
        """Give an account a proven address; whether no other has it. Lock the account first, for change."""
        tag = await self._uow.execute(
            """
            UPDATE kernel_accounts SET email = $3, email_verified_at = now()
            WHERE tenant_id = $1 AND id = $2 AND NOT EXISTS (
                SELECT FROM kernel_accounts WHERE tenant_id = $1 AND lower(email) = lower($3) AND id <> $2
            )
            """,
            self._tenant,
            account_id,
            email,
        )
        return tag == "UPDATE 1"

    async def verify_email(
        self, account_id: UUID, *, password_hash: str | None = None, display_name: str | None = None
    ) -> None:
        """The account's address is proven. The password and the name of its registration count from now on; one that
        has a password keeps it. Lock it first, for change.
        """
        await self._uow.execute(
            """
            UPDATE kernel_accounts
            SET email_verified_at = coalesce(email_verified_at, now()),
                display_name = CASE WHEN password_hash IS NULL THEN coalesce($4, display_name) ELSE display_name END,
                password_hash = coalesce(password_hash, $3)
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            account_id,
            password_hash,
            display_name,
        )

    async def password_hash(self, account_id: UUID) -> str | None:
        """The account's hash, if it can log in by password."""
        return await self._uow.fetchval(
            "SELECT password_hash FROM kernel_accounts WHERE tenant_id = $1 AND id = $2", self._tenant, account_id
        )

    async def has_password(self, account_id: UUID) -> bool:
        """Whether the account can log in by password."""
        return await self._uow.fetchval(
            "SELECT password_hash IS NOT NULL FROM kernel_accounts WHERE tenant_id = $1 AND id = $2",
            self._tenant,
            account_id,
        )

    async def market_name(self) -> str:
        """The marketplace's name."""
        return await self._uow.fetchval("SELECT name FROM kernel_tenants WHERE id = $1", self._tenant)

    async def set_status(self, account_id: UUID, status: str) -> None:
        """Let an account log in or not. Lock it first, for change."""
        await self._uow.execute(
            "UPDATE kernel_accounts SET status = $3 WHERE tenant_id = $1 AND id = $2", self._tenant, account_id, status
        )

    async def roles(self, account_id: UUID) -> list[str]:
        """The account's roles, in order."""
        rows = await self._uow.fetch(
            "SELECT role FROM kernel_role_grants WHERE tenant_id = $1 AND account_id = $2 ORDER BY role",
            self._tenant,
            account_id,
        )
        return [row["role"] for row in rows]

    async def add_roles(self, account_id: UUID, roles: Sequence[str], *, granted_by: UUID | None) -> None:
        """Grant roles that the account doesn't have yet."""
        await self._uow.executemany(
            """
            INSERT INTO kernel_role_grants (id, tenant_id, account_id, role, granted_by) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, account_id, role) DO NOTHING
            """,
            [(new_id(), self._tenant, account_id, role, granted_by) for role in roles],
        )

    async def remove_roles(self, account_id: UUID, roles: Sequence[str]) -> None:
        """Take roles away."""
        await self._uow.execute(
            "DELETE FROM kernel_role_grants WHERE tenant_id = $1 AND account_id = $2 AND role = ANY($3)",
            self._tenant,
            account_id,
            list(roles),
        )

    async def others_with_role(self, role: str, *, than: UUID | None) -> bool:
        """Whether an active account other than `than` has the role. Transactions that ask this wait for each other."""
        await self._uow.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('pegboard:role:' || $1 || ':' || $2, 0))",
            role,
            str(self._tenant),
        )
        return await self._uow.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM kernel_role_grants g
                JOIN kernel_accounts a ON a.tenant_id = g.tenant_id AND a.id = g.account_id
                WHERE g.tenant_id = $1 AND g.role = $2 AND a.status = 'active' AND g.account_id IS DISTINCT FROM $3
            )
            """,
            self._tenant,
            role,
            than,
        )

    # Sessions and refresh tokens

    async def insert_session(
        self,
        account_id: UUID,
        *,
        ttl: int | None,
        kind: SessionKind = "log_in",
        label: str = "",
        device: Device = UNKNOWN,
        methods: Sequence[str] = (),
    ) -> Record:
        """A session that ends in `ttl` seconds unless it is refreshed; None: not by itself. Its owner was proven just
        now by `methods`.

        Gives `id` and `authenticated_at` (Unix seconds).
        """
        row = await self._uow.fetchrow(
            """
            INSERT INTO kernel_sessions
                (id, tenant_id, account_id, expires_at, kind, label, ip, user_agent, methods)
            VALUES ($1, $2, $3, coalesce(now() + make_interval(secs => $4), 'infinity'), $5, $6, $7, $8, $9)
            RETURNING id, extract(epoch FROM authenticated_at)::bigint AS authenticated_at
            """,
            new_id(),
            self._tenant,
            account_id,
            ttl,
            kind,
            label,
            device.ip,
            device.user_agent,
            list(methods),
        )
        assert row is not None, "an INSERT without a condition gives its row"
        return row

    async def insert_token(self, session_id: UUID, digest: bytes, *, parent_id: UUID | None, ttl: int) -> None:
        """A refresh token that is good for `ttl` seconds."""
        await self._uow.execute(
            """
            INSERT INTO kernel_refresh_tokens (id, tenant_id, session_id, parent_id, digest, expires_at)
            VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
            """,
            new_id(),
            self._tenant,
            session_id,
            parent_id,
            digest,
            ttl,
        )

    async def lock_session_of(self, digest: bytes) -> UUID | None:
        """The session of a refresh token, held until the end, so that its tokens are exchanged one at a time."""
        return await self._uow.fetchval(
            """
            SELECT s.id FROM kernel_refresh_tokens t
            JOIN kernel_sessions s ON s.tenant_id = t.tenant_id AND s.id = t.session_id
            WHERE t.tenant_id = $1 AND t.digest = $2
            FOR NO KEY UPDATE OF s
            """,
            self._tenant,
            digest,
        )

    async def refresh_state(self, digest: bytes, *, grace: int) -> Record:
        """All that decides about a refresh.

        Ask after `lock_session_of`, in a statement of its own: it sees what was committed before it began.
        """
        row = await self._uow.fetchrow(
            """
            SELECT t.id AS token_id, s.account_id, a.status, s.methods,
                   extract(epoch FROM s.authenticated_at)::bigint AS authenticated_at,
                   extract(epoch FROM now() - s.created_at)::int AS session_age,
                   s.revoked_at IS NULL AND s.expires_at > now() AS session_stands,
                   t.expires_at > now() AS token_stands,
                   t.used_at IS NOT NULL AS used,
                   coalesce(t.used_at + make_interval(secs => $3) > clock_timestamp(), false) AS in_grace,
                   c.digest AS child, c.used_at IS NOT NULL AS child_used
            FROM kernel_refresh_tokens t
            JOIN kernel_sessions s ON s.tenant_id = t.tenant_id AND s.id = t.session_id
            JOIN kernel_accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
            LEFT JOIN kernel_refresh_tokens c ON c.tenant_id = t.tenant_id AND c.parent_id = t.id
            WHERE t.tenant_id = $1 AND t.digest = $2
            """,
            self._tenant,
            digest,
            grace,
        )
        assert row is not None, "the token's session is locked, so its rows stay"
        return row

    async def mark_used(self, token_id: UUID) -> None:
        """The token was exchanged."""
        await self._uow.execute(
            "UPDATE kernel_refresh_tokens SET used_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2",
            self._tenant,
            token_id,
        )

    async def extend_session(self, session_id: UUID, *, ttl: int, device: Device) -> None:
        """The session is used from `device`, and ends in `ttl` seconds from now unless it is refreshed again."""
        await self._uow.execute(
            """
            UPDATE kernel_sessions
            SET expires_at = now() + make_interval(secs => $3), last_used_at = now(), ip = $4, user_agent = $5
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            session_id,
            ttl,
            device.ip,
            device.user_agent,
        )

    async def log_ins(self, account_id: UUID, *, after: UUID | None, limit: int) -> list[Record]:
        """The account's log-ins that stand, newest first."""
        return await self._uow.fetch(
            """
            SELECT id, ip, user_agent, methods, created_at, last_used_at, authenticated_at, expires_at
            FROM kernel_sessions
            WHERE tenant_id = $1 AND account_id = $2 AND kind = 'log_in' AND revoked_at IS NULL AND expires_at > now()
              AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """,
            self._tenant,
            account_id,
            after,
            limit,
        )

    async def log_in(self, session_id: UUID, *, account_id: UUID) -> Record | None:
        """`ip` and `user_agent` of a log-in of the account, whether or not it stands."""
        return await self._uow.fetchrow(
            """
            SELECT ip, user_agent FROM kernel_sessions
            WHERE tenant_id = $1 AND id = $2 AND account_id = $3 AND kind = 'log_in'
            """,
            self._tenant,
            session_id,
            account_id,
        )

    async def prove(self, session_id: UUID, methods: Sequence[str]) -> Record | None:
        """The session's owner has just proved who they are by `methods`: that they trust a device counts no more.

        Gives `authenticated_at` (Unix seconds) and all `methods` so far, or None where the session is no log-in.
        """
        return await self._uow.fetchrow(
            """
            UPDATE kernel_sessions
            SET authenticated_at = now(), last_used_at = now(),
                methods = array(
                    SELECT DISTINCT unnest(array_remove(methods, 'trusted_device') || $3::text[]) ORDER BY 1
                )
            WHERE tenant_id = $1 AND id = $2 AND kind = 'log_in'
            RETURNING extract(epoch FROM authenticated_at)::bigint AS authenticated_at, methods
            """,
            self._tenant,
            session_id,
            list(methods),
        )

    async def revoke(
        self,
        reason: RevokeReason,
        *,
        session_id: UUID | None = None,
        account_id: UUID | None = None,
        kind: SessionKind | None = None,
        besides: UUID | None = None,
    ) -> list[UUID]:
        """End a session, where it is a credential with the tokens that were given for it; or those of an account: all,
        or those of one kind, without the one named `besides`. Gives those that stood. The feed goes by the
        transaction's id.
        """
        rows = await self._uow.fetch(
            """
            UPDATE kernel_sessions
            SET revoked_at = clock_timestamp(), revoked_reason = $4, revoked_xid = pg_current_xact_id()
            WHERE tenant_id = $1 AND revoked_at IS NULL AND (id = $2 OR credential_id = $2 OR account_id = $3)
              AND ($5::text IS NULL OR kind = $5) AND id IS DISTINCT FROM $6
            RETURNING id
            """,
            self._tenant,
            session_id,
            account_id,
            reason,
            kind,
            besides,
        )
        return [row["id"] for row in rows]

    async def delete_ended_sessions(self, *, days: int, limit: int) -> int:
        """Remove up to `limit` sessions that ended more than `days` ago, with their tokens; gives how many."""
        tag = await self._uow.execute(
            """
            DELETE FROM kernel_sessions WHERE tenant_id = $1 AND id IN (
                SELECT id FROM kernel_sessions
                WHERE tenant_id = $1 AND expires_at < now() - make_interval(days => $2) ORDER BY expires_at LIMIT $3
            )
            """,
            self._tenant,
            days,
            limit,
        )
        return int(tag.rpartition(" ")[2])

    async def delete_expired_tokens(self, *, days: int, limit: int) -> int:
        """Remove up to `limit` refresh tokens that expired more than `days` ago; gives how many."""
        tag = await self._uow.execute(
            """
            DELETE FROM kernel_refresh_tokens WHERE tenant_id = $1 AND id IN (
                SELECT id FROM kernel_refresh_tokens
                WHERE tenant_id = $1 AND expires_at < now() - make_interval(days => $2) ORDER BY expires_at LIMIT $3
            )
            """,
            self._tenant,
            days,
            limit,
        )
        return int(tag.rpartition(" ")[2])
