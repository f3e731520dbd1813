"""Organisations: agencies and companies inside a marketplace."""

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from msgspec import UNSET
from pegboard_sdk.http import check_if_match
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.work import Record

from pegboard.tenancy.errors import OrganisationNotFound
from pegboard.tenancy.events import (
    OrganisationCreated,
    OrganisationDeleted,
    OrganisationResumed,
    OrganisationSuspended,
)
from pegboard.tenancy.organisation_access import OWNER, require
from pegboard.tenancy.organisation_repository import OrganisationRepository
from pegboard.tenancy.organisation_schemas import Organisation, OrganisationCreate, OrganisationPatch
from pegboard.tenancy.permissions import (
    ORGANISATION_CREATE,
    ORGANISATION_DELETE,
    ORGANISATION_EDIT,
    ORGANISATION_READ,
    ORGANISATION_SUSPEND,
)

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("OrganisationService",)

ORGANISATION = "organisation"


class OrganisationService:
    """Over one unit of work."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._repository = OrganisationRepository(work)

    async def create(self, data: OrganisationCreate) -> Organisation:
        """A new organisation; who acts owns it."""
        work, account_id = self._work, self._work.principal.account
        name = data.name.strip()
        organisation_id = await self._repository.insert(
            type=data.type, name=name, description=data.description, website=data.website, created_by=account_id
        )
        await self._repository.add_member(organisation_id, account_id, OWNER)
        await work.audit(
            ORGANISATION_CREATE,
            object_type=ORGANISATION,
            object_id=organisation_id,
            after={"type": data.type, "name": name, "owner": account_id},
        )
        await work.emit(OrganisationCreated(organisation_id=organisation_id, type=data.type, owner_id=account_id))
        return await self.get(organisation_id)

    async def get(self, organisation_id: UUID) -> Organisation:
        """An organisation that the principal belongs to.

        Raises:
            OrganisationNotFound: there is none, or who asks is no member of it.
        """
        return _organisation(await require(self._work, organisation_id, ORGANISATION_READ))

    async def list_own(self, *, limit: int, cursor: str | None) -> Page[Organisation]:
        """The organisations that the principal belongs to, newest first.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await self._repository.of_account(
            self._work.principal.account, after=after[0] if after else None, limit=limit + 1
        )
        return _page(rows, limit)

    async def list_all(self, *, type: str | None, limit: int, cursor: str | None) -> Page[Organisation]:
        """All organisations of the marketplace, newest first, for its administrator.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await self._repository.newest(type=type, after=after[0] if after else None, limit=limit + 1)
        return _page(rows, limit)

    async def edit(self, organisation_id: UUID, data: OrganisationPatch, *, if_match: str | None) -> Organisation:
        """Change the profile.

        Raises:
            OrganisationNotFound, NotInOrganisation, OrganisationSuspended: as `organisation_access.require`.
            PreconditionRequired, PreconditionFailed: `if_match` does not name the current version.
        """
        found = await require(self._work, organisation_id, ORGANISATION_EDIT, lock=True)
        check_if_match(if_match, found["version"])
        before = {name: found[name] for name in ("name", "description", "website")}
        changed = {name: value for name in before if (value := getattr(data, name)) is not UNSET}
        after = before | changed
        if after != before:
            await self._repository.edit(organisation_id, **after)
            await self._work.audit(
                ORGANISATION_EDIT, object_type=ORGANISATION, object_id=organisation_id, before=before, after=after
            )
        return await self.get(organisation_id)

    async def delete(self, organisation_id: UUID) -> None:
        """Delete an organisation: nobody belongs to it any more, and its invitations are worthless. What others have
        that names it stays.

        Raises:
            OrganisationNotFound, NotInOrganisation, OrganisationSuspended: as `organisation_access.require`.
        """
        found = await require(self._work, organisation_id, ORGANISATION_DELETE, lock=True)
        await self._repository.close_all(organisation_id)
        await self._repository.set_status(organisation_id, "deleted")
        await self._work.audit(
            ORGANISATION_DELETE,
            object_type=ORGANISATION,
            object_id=organisation_id,
            before={"status": found["status"]},
            after={"status": "deleted"},
        )
        await self._work.emit(OrganisationDeleted(organisation_id=organisation_id))

    async def set_status(
        self, organisation_id: UUID, status: Literal["active", "suspended"], reason: str = ""
    ) -> Organisation:
        """Suspend an organisation, so that nobody acts for it, or let it go on; for the marketplace's administrator.

        Raises:
            OrganisationNotFound: there is none with this id.
        """
        found = await self._repository.find(organisation_id, None, lock=True)
        if found is None:
            raise OrganisationNotFound
        if found["status"] != status:
            await self._repository.set_status(organisation_id, status)
            await self._work.audit(
                ORGANISATION_SUSPEND,
                object_type=ORGANISATION,
                object_id=organisation_id,
                before={"status": found["status"]},
                after={"status": status, "reason": reason},
            )
            happened = OrganisationSuspended if status == "suspended" else OrganisationResumed
            await self._work.emit(happened(organisation_id=organisation_id))
        after = await self._repository.find(organisation_id, None)
        if after is None:
            raise OrganisationNotFound
        return _organisation(after)


def _organisation(row: Record) -> Organisation:
    return Organisation(**dict(row))


def _page(rows: list[Record], limit: int) -> Page[Organisation]:
    items = [_organisation(row) for row in rows[:limit]]
    return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)
