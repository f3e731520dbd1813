"""The queries of organisations, members and invitations."""

from uuid import UUID

from pegboard_sdk.ids import new_id
from pegboard_sdk.work import Record, UnitOfWork

__all__ = ("OrganisationRepository",)

_ORGANISATION = "o.id, o.type, o.name, o.description, o.website, o.status, o.version, o.created_at"
_INVITATION = """
i.id, i.organisation_id, i.email, i.role, i.sent, i.invited_by, i.expires_at, i.created_at,
CASE WHEN i.state = 'open' AND i.expires_at <= now() THEN 'expired' ELSE i.state END AS state
"""


class OrganisationRepository:
    """Over one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._tenant = uow.tenant_id

    # Organisations

    async def insert(self, *, type: str, name: str, description: str, website: str, created_by: UUID | None) -> UUID:
        """A new organisation's id."""
        organisation_id = new_id()
        await self._uow.execute(
            """
            INSERT INTO kernel_organisations (id, tenant_id, type, name, description, website, created_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            organisation_id,
            self._tenant,
            type,
            name,
            description,
            website,
            created_by,
        )
        return organisation_id

    async def find(self, organisation_id: UUID, account_id: UUID | None, *, lock: bool = False) -> Record | None:
        """An organisation that was not deleted, with the account's `role` there (None: no member). With `lock` nobody
        else changes it or its members until the end.
        """
        return await self._uow.fetchrow(
            f"""
            SELECT {_ORGANISATION}, (
                SELECT m.role FROM kernel_organisation_members m
                WHERE m.tenant_id = $1 AND m.organisation_id = o.id AND m.account_id = $3
            ) AS role
            FROM kernel_organisations o WHERE o.tenant_id = $1 AND o.id = $2 AND o.status <> 'deleted'
            {"FOR NO KEY UPDATE OF o" if lock else ""}
            """,  # noqa: S608  # constants
            self._tenant,
            organisation_id,
            account_id,
        )

    async def of_account(self, account_id: UUID, *, after: UUID | None, limit: int) -> list[Record]:
        """The organisations that an account belongs to, newest first, with its `role`."""
        return await self._uow.fetch(
            f"""
            SELECT {_ORGANISATION}, m.role
            FROM kernel_organisation_members m
            JOIN kernel_organisations o ON o.tenant_id = m.tenant_id AND o.id = m.organisation_id
            WHERE m.tenant_id = $1 AND m.account_id = $2 AND o.status <> 'deleted'
              AND ($3::uuid IS NULL OR o.id < $3)
            ORDER BY o.id DESC LIMIT $4
            """,  # noqa: S608  # constants
            self._tenant,
            account_id,
            after,
            limit,
        )

    async def newest(self, *, type: str | None, after: UUID | None, limit: int) -> list[Record]:
        """All organisations of the marketplace, newest first."""
        return await self._uow.fetch(
            f"""
            SELECT {_ORGANISATION}, NULL AS role FROM kernel_organisations o
            WHERE o.tenant_id = $1 AND o.status <> 'deleted' AND ($2::text IS NULL OR o.type = $2)
              AND ($3::uuid IS NULL OR o.id < $3)
            ORDER BY o.id DESC LIMIT $4
            """,  # noqa: S608  # constants
            self._tenant,
            type,
            after,
            limit,
        )

    async def edit(self, organisation_id: UUID, *, name: str, description: str, website: str) -> None:
        """Write a profile."""
        await self._uow.execute(
            """
            UPDATE kernel_organisations SET name = $3, description = $4, website = $5, version = version + 1
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant,
            organisation_id,
            name,
            description,
            website,
        )

    async def set_status(self, organisation_id: UUID, status: str) -> None:
        """Write a status."""
        await self._uow.execute(
            "UPDATE kernel_organisations SET status = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
            self._tenant,
            organisation_id,
            status,
        )

    # Members

    async def members(self, organisation_id: UUID, *, after: UUID | None, limit: int) -> list[Record]:
        """Who belongs to an organisation, longest first."""
        return await self._uow.fetch(
            """
            SELECT m.id, m.account_id, a.display_name, m.role, m.created_at AS joined_at
            FROM kernel_organisation_members m
            JOIN kernel_accounts a ON a.tenant_id = m.tenant_id AND a.id = m.account_id
            WHERE m.tenant_id = $1 AND m.organisation_id = $2 AND ($3::uuid IS NULL OR m.id > $3)
            ORDER BY m.id LIMIT $4
            """,
            self._tenant,
            organisation_id,
            after,
            limit,
        )

    async def role_of(self, organisation_id: UUID, account_id: UUID) -> str | None:
        """What an account is in an organisation."""
        return await self._uow.fetchval(
            "SELECT role FROM kernel_organisation_members"
            " WHERE tenant_id = $1 AND organisation_id = $2 AND account_id = $3",
            self._tenant,
            organisation_id,
            account_id,
        )

    async def add_member(self, organisation_id: UUID, account_id: UUID, role: str) -> bool:
        """Whether the account was no member so far, and is one now."""
        tag = await self._uow.execute(
            """
            INSERT INTO kernel_organisation_members (id, tenant_id, organisation_id, account_id, role)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, organisation_id, account_id) DO NOTHING
            """,
            new_id(),
            self._tenant,
            organisation_id,
            account_id,
            role,
        )
        return tag == "INSERT 0 1"

    async def set_role(self, organisation_id: UUID, account_id: UUID, role: str) -> None:
        """Write a member's role."""
        await self._uow.execute(
            "UPDATE kernel_organisation_members SET role = $4"
            " WHERE tenant_id = $1 AND organisation_id = $2 AND account_id = $3",
            self._tenant,
            organisation_id,
            account_id,
            role,
        )

    async def remove_member(self, organisation_id: UUID, account_id: UUID) -> None:
        """Take an account out of an organisation."""
        await self._uow.execute(
            "DELETE FROM kernel_organisation_members WHERE tenant_id = $1 AND organisation_id = $2 AND account_id = $3",
            self._tenant,
            organisation_id,
            account_id,
        )

    async def has_other_owner(self, organisation_id: UUID, account_id: UUID) -> bool:
        """Whether somebody else owns the organisation, too, and can log in."""
        return await self._uow.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM kernel_organisation_members m
                JOIN kernel_accounts a ON a.tenant_id = m.tenant_id AND a.id = m.account_id AND a.status = 'active'
                WHERE m.tenant_id = $1 AND m.organisation_id = $2 AND m.role = 'owner' AND m.account_id <> $3
            )
            """,
            self._tenant,
            organisation_id,
            account_id,
        )

    # Invitations

    async def insert_invitation(
        self, organisation_id: UUID, *, email: str, role: str, digest: bytes, ttl: int, invited_by: UUID | None
    ) -> Record | None:
        """A new invitation, or None where one is open for the address. One that has run out makes room."""
        await self._uow.execute(
            """
            UPDATE kernel_organisation_invitations SET state = 'revoked'
            WHERE tenant_id = $1 AND organisation_id = $2 AND lower(email) = lower($3) AND state = 'open'
              AND expires_at <= now()
            """,
            self._tenant,
            organisation_id,
            email,
        )
        return await self._uow.fetchrow(
            f"""
            INSERT INTO kernel_organisation_invitations AS i
                (id, tenant_id, organisation_id, email, role, digest, invited_by, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
            ON CONFLICT (tenant_id, organisation_id, lower(email)) WHERE state = 'open' DO NOTHING
            RETURNING {_INVITATION}
            """,  # noqa: S608  # constants
            new_id(),
            self._tenant,
            organisation_id,
            email,
            role,
            digest,
            invited_by,
            ttl,
        )

    async def count_open(self, organisation_id: UUID) -> int:
        """How many of an organisation's invitations wait for an answer."""
        return await self._uow.fetchval(
            "SELECT count(*) FROM kernel_organisation_invitations"
            " WHERE tenant_id = $1 AND organisation_id = $2 AND state = 'open' AND expires_at > now()",
            self._tenant,
            organisation_id,
        )

    async def count_recent(self, email: str) -> int:
        """How many messages of all organisations an address got within a day, by the invitations made then."""
        return await self._uow.fetchval(
            """
            SELECT coalesce(sum(sent), 0) FROM kernel_organisation_invitations
            WHERE tenant_id = $1 AND lower(email) = lower($2) AND created_at > now() - interval '1 day'
            """,
            self._tenant,
            email,
        )

    async def invitation(self, organisation_id: UUID, invitation_id: UUID) -> Record | None:
        """One invitation of an organisation."""
        return await self._uow.fetchrow(
            f"SELECT {_INVITATION} FROM kernel_organisation_invitations i"  # noqa: S608  # constants
            " WHERE i.tenant_id = $1 AND i.organisation_id = $2 AND i.id = $3",
            self._tenant,
            organisation_id,
            invitation_id,
        )

    async def invitation_by_digest(self, digest: bytes) -> Record | None:
        """The invitation that a token is of."""
        return await self._uow.fetchrow(
            f"SELECT {_INVITATION} FROM kernel_organisation_invitations i"  # noqa: S608  # constants
            " WHERE i.tenant_id = $1 AND i.digest = $2",
            self._tenant,
            digest,
        )

    async def invitations(self, organisation_id: UUID, *, after: UUID | None, limit: int) -> list[Record]:
        """An organisation's invitations, newest first."""
        return await self._uow.fetch(
            f"""
            SELECT {_INVITATION} FROM kernel_organisation_invitations i
            WHERE i.tenant_id = $1 AND i.organisation_id = $2 AND ($3::uuid IS NULL OR i.id < $3)
            ORDER BY i.id DESC LIMIT $4
            """,  # noqa: S608  # constants
            self._tenant,
            organisation_id,
            after,
            limit,
        )

    async def close_invitation(self, invitation_id: UUID, state: str) -> bool:
        """Answer or revoke an invitation; whether it was open."""
        tag = await self._uow.execute(
            """
            UPDATE kernel_organisation_invitations SET state = $3
            WHERE tenant_id = $1 AND id = $2 AND state = 'open'
            """,
            self._tenant,
            invitation_id,
            state,
        )
        return tag == "UPDATE 1"

    async def close_all(self, organisation_id: UUID) -> None:
        """Revoke all open invitations of an organisation."""
        await self._uow.execute(
            """
            UPDATE kernel_organisation_invitations SET state = 'revoked'
            WHERE tenant_id = $1 AND organisation_id = $2 AND state = 'open'
            """,
            self._tenant,
            organisation_id,
        )

    async def renew_invitation(self, invitation_id: UUID, *, digest: bytes, ttl: int) -> None:
        """Give an open invitation another token and a new term: what was sent before is worthless."""
        await self._uow.execute(
            """
            UPDATE kernel_organisation_invitations
            SET digest = $3, expires_at = now() + make_interval(secs => $4), sent = sent + 1
            WHERE tenant_id = $1 AND id = $2 AND state = 'open'
            """,
            self._tenant,
            invitation_id,
            digest,
            ttl,
        )
