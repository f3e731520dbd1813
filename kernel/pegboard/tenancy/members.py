"""Members of organisations: their roles, leaving, and who owns.

Each change locks the organisation's row first, so that of two last owners who leave at once one stays.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import NotFound
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.work import Record

from pegboard.tenancy.errors import LastOwner
from pegboard.tenancy.events import MemberLeft, OwnershipTransferred
from pegboard.tenancy.organisation_access import MANAGER, OWNER, require, require_may_give
from pegboard.tenancy.organisation_repository import OrganisationRepository
from pegboard.tenancy.organisation_schemas import Member
from pegboard.tenancy.permissions import (
    MEMBER_EDIT,
    MEMBER_REMOVE,
    ORGANISATION_LEAVE,
    ORGANISATION_READ,
    ORGANISATION_TRANSFER,
)

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("MemberService",)

ORGANISATION = "organisation"


class MemberService:
    """Over one unit of work. All methods raise what `organisation_access.require` raises."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._repository = OrganisationRepository(work)

    async def list(self, organisation_id: UUID, *, limit: int, cursor: str | None) -> Page[Member]:
        """Who belongs to the organisation, longest first.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        await require(self._work, organisation_id, ORGANISATION_READ)
        rows = await self._repository.members(organisation_id, after=after[0] if after else None, limit=limit + 1)
        items = [
            Member(
                account_id=row["account_id"],
                display_name=row["display_name"],
                role=row["role"],
                joined_at=row["joined_at"],
            )
            for row in rows[:limit]
        ]
        return Page(items, encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None)

    async def set_role(self, organisation_id: UUID, account_id: UUID, role: str) -> None:
        """Give a member another role.

        Raises:
            NotFound: they are no member.
            InvalidInput: there is no such role.
            NotHeld: the role that they have or get grants more than one's own.
            LastOwner: nobody else would own the organisation.
        """
        own = await require(self._work, organisation_id, MEMBER_EDIT, lock=True)
        before = await self._member(organisation_id, account_id)
        require_may_give(self._work, own["role"], before, role)
        if before == role:
            return
        await self._leave_one_owner(organisation_id, account_id, before)
        await self._repository.set_role(organisation_id, account_id, role)
        await self._audit(MEMBER_EDIT, organisation_id, account_id, before, role)

    async def remove(self, organisation_id: UUID, account_id: UUID) -> None:
        """Take a member out of the organisation. Who is none is none afterwards too.

        Raises:
            NotHeld: their role grants more than one's own.
            LastOwner: nobody else would own the organisation.
        """
        own = await require(self._work, organisation_id, MEMBER_REMOVE, lock=True)
        role = await self._repository.role_of(organisation_id, account_id)
        if role is not None:
            require_may_give(self._work, own["role"], role)
            await self._take_out(MEMBER_REMOVE, organisation_id, account_id, role)

    async def leave(self, organisation_id: UUID) -> None:
        """Leave the organisation oneself.

        Raises:
            LastOwner: nobody else would own the organisation.
        """
        own: Record = await require(self._work, organisation_id, ORGANISATION_LEAVE, lock=True)
        await self._take_out(ORGANISATION_LEAVE, organisation_id, self._work.principal.account, own["role"])

    async def transfer(self, organisation_id: UUID, account_id: UUID) -> None:
        """Make another member the owner in one's own place; who acts becomes a manager.

        Raises:
            NotFound: they are no member.
        """
        await require(self._work, organisation_id, ORGANISATION_TRANSFER, lock=True)
        before = await self._member(organisation_id, account_id)
        own_id = self._work.principal.account
        if own_id == account_id:
            return
        await self._repository.set_role(organisation_id, account_id, OWNER)
        await self._repository.set_role(organisation_id, own_id, MANAGER)
        await self._audit(ORGANISATION_TRANSFER, organisation_id, account_id, before, OWNER)
        await self._work.emit(OwnershipTransferred(organisation_id=organisation_id, from_id=own_id, to_id=account_id))

    async def _member(self, organisation_id: UUID, account_id: UUID) -> str:
        role = await self._repository.role_of(organisation_id, account_id)
        if role is None:
            raise NotFound("They are no member of this organisation.")
        return role

    async def _take_out(self, action: str, organisation_id: UUID, account_id: UUID, role: str) -> None:
        await self._leave_one_owner(organisation_id, account_id, role)
        await self._repository.remove_member(organisation_id, account_id)
        await self._audit(action, organisation_id, account_id, role, None)
        await self._work.emit(MemberLeft(organisation_id=organisation_id, account_id=account_id))

    async def _leave_one_owner(self, organisation_id: UUID, account_id: UUID, role: str) -> None:
        if role == OWNER and not await self._repository.has_other_owner(organisation_id, account_id):
            raise LastOwner

    async def _audit(
        self, action: str, organisation_id: UUID, account_id: UUID, before: str | None, after: str | None
    ) -> None:
        await self._work.audit(
            action,
            object_type=ORGANISATION,
            object_id=organisation_id,
            before={"account": account_id, "role": before},
            after={"account": account_id, "role": after},
        )
