"""Governance's queries."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pegboard_sdk import Record, UnitOfWork, new_id

__all__ = ("ConsentRepository", "PurposeRepository")


class PurposeRepository:
    """Purposes and the versions of their notices."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def insert(self, slug: str, title: str, text: str) -> UUID | None:
        """A purpose with its first notice; None if the slug is taken."""
        purpose_id = new_id()
        inserted = await self._uow.fetchval(
            "INSERT INTO governance_purposes (id, tenant_id, slug, title, notice_version) VALUES ($1, $2, $3, $4, 1)"
            " ON CONFLICT (tenant_id, slug) DO NOTHING RETURNING id",
            purpose_id,
            self._uow.tenant_id,
            slug,
            title,
        )
        if inserted is None:
            return None
        await self._insert_notice(purpose_id, 1, text)
        return purpose_id

    async def add_notice(self, slug: str, text: str) -> int | None:
        """The next version of a purpose's notice; None if there is no such purpose. Writers of one purpose wait for
        each other.
        """
        row = await self._uow.fetchrow(
            "UPDATE governance_purposes SET notice_version = notice_version + 1, updated_at = now()"
            " WHERE tenant_id = $1 AND slug = $2 RETURNING id, notice_version",
            self._uow.tenant_id,
            slug,
        )
        if row is None:
            return None
        await self._insert_notice(row["id"], row["notice_version"], text)
        return row["notice_version"]

    async def _insert_notice(self, purpose_id: UUID, version: int, text: str) -> None:
        await self._uow.execute(
            "INSERT INTO governance_notices (id, tenant_id, purpose_id, version, text) VALUES ($1, $2, $3, $4, $5)",
            new_id(),
            self._uow.tenant_id,
            purpose_id,
            version,
            text,
        )

    async def get(self, slug: str) -> Record | None:
        """A purpose with the notice in force."""
        return await self._uow.fetchrow(f"{_PURPOSE} AND p.slug = $2", self._uow.tenant_id, slug)

    async def page(self, after: str | None, limit: int) -> Sequence[Record]:
        """Purposes by slug, at most `limit`."""
        return await self._uow.fetch(
            f"{_PURPOSE} AND ($2::text IS NULL OR p.slug > $2) ORDER BY p.slug LIMIT $3",
            self._uow.tenant_id,
            after,
            limit,
        )

    async def notices(self, slug: str, before: int | None, limit: int) -> Sequence[Record]:
        """A purpose's notices, newest first."""
        return await self._uow.fetch(
            "SELECT n.version, n.text, n.created_at FROM governance_notices n"
            " JOIN governance_purposes p ON p.tenant_id = n.tenant_id AND p.id = n.purpose_id"
            " WHERE n.tenant_id = $1 AND p.slug = $2 AND ($3::int IS NULL OR n.version < $3)"
            " ORDER BY n.version DESC LIMIT $4",
            self._uow.tenant_id,
            slug,
            before,
            limit,
        )


_PURPOSE = """
SELECT p.id, p.slug, p.title, n.version, n.text, n.created_at FROM governance_purposes p
  JOIN governance_notices n ON n.tenant_id = p.tenant_id AND n.purpose_id = p.id AND n.version = p.notice_version
 WHERE p.tenant_id = $1
"""


class ConsentRepository:
    """Where people stand, and how they came there."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def change(self, account_id: UUID, purpose_id: UUID, state: str, notice_version: int) -> Record | None:
        """Set the state; None where it is already so. The row is locked until the transaction ends, so changes come one
        by one.
        """
        return await self._uow.fetchrow(
            "INSERT INTO governance_consents AS c (id, tenant_id, account_id, purpose_id, state, notice_version)"
            " VALUES ($1, $2, $3, $4, $5, $6)"
            " ON CONFLICT (tenant_id, account_id, purpose_id) DO UPDATE"
            " SET state = excluded.state, notice_version = excluded.notice_version, updated_at = now()"
            " WHERE (c.state, c.notice_version) IS DISTINCT FROM (excluded.state, excluded.notice_version)"
            " RETURNING state, notice_version",
            new_id(),
            self._uow.tenant_id,
            account_id,
            purpose_id,
            state,
            notice_version,
        )

    async def lock(self, account_id: UUID, purpose_id: UUID) -> Record | None:
        """The current state, locked."""
        return await self._uow.fetchrow(
            "SELECT state, notice_version FROM governance_consents"
            " WHERE tenant_id = $1 AND account_id = $2 AND purpose_id = $3 FOR UPDATE",
            self._uow.tenant_id,
            account_id,
            purpose_id,
        )

    async def record(self, account_id: UUID, purpose_id: UUID, state: str, notice_version: int) -> None:
        """Append to the history."""
        await self._uow.execute(
            "INSERT INTO governance_consent_records"
            " (id, tenant_id, account_id, purpose_id, state, notice_version, request_id)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            new_id(),
            self._uow.tenant_id,
            account_id,
            purpose_id,
            state,
            notice_version,
            self._uow.request_id,
        )

    async def states(self, account_id: UUID, slug: str | None = None) -> Sequence[Record]:
        """Where an account stands, on one purpose or all that it ever decided on."""
        return await self._uow.fetch(
            "SELECT p.slug, c.state, c.notice_version, c.notice_version = p.notice_version AS current, c.updated_at"
            " FROM governance_consents c"
            " JOIN governance_purposes p ON p.tenant_id = c.tenant_id AND p.id = c.purpose_id"
            " WHERE c.tenant_id = $1 AND c.account_id = $2 AND ($3::text IS NULL OR p.slug = $3) ORDER BY p.slug",
            self._uow.tenant_id,
            account_id,
            slug,
        )

    async def history(
        self, account_id: UUID, slug: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Record]:
        """An account's changes, newest first, after the keyset position `before`."""
        at, record_id = before or (None, None)
        return await self._uow.fetch(
            "SELECT r.id, p.slug, r.state, r.notice_version, r.created_at FROM governance_consent_records r"
            " JOIN governance_purposes p ON p.tenant_id = r.tenant_id AND p.id = r.purpose_id"
            " WHERE r.tenant_id = $1 AND r.account_id = $2 AND ($3::text IS NULL OR p.slug = $3)"
            " AND ($4::timestamptz IS NULL OR (r.created_at, r.id) < ($4, $5::uuid))"
            " ORDER BY r.created_at DESC, r.id DESC LIMIT $6",
            self._uow.tenant_id,
            account_id,
            slug,
            at,
            record_id,
            limit,
        )

    async def stands(self, account_id: UUID, slug: str) -> bool:
        """Whether a consent stands for the notice in force."""
        return await self._uow.fetchval(
            "SELECT EXISTS (SELECT FROM governance_consents c"
            " JOIN governance_purposes p ON p.tenant_id = c.tenant_id AND p.id = c.purpose_id"
            " WHERE c.tenant_id = $1 AND c.account_id = $2 AND p.slug = $3 AND c.state = 'given'"
            " AND c.notice_version = p.notice_version)",
            self._uow.tenant_id,
            account_id,
            slug,
        )
