"""The routes of organisations: /organisations for their members, /admin/organisations for the marketplace."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk.errors import InvalidCursor, InvalidInput, NotFound, PreconditionFailed, PreconditionRequired
from pegboard_sdk.http import (
    Controller,
    IfMatch,
    QueryParameter,
    Response,
    delete,
    get,
    patch,
    post,
    put,
    with_etag,
)
from pegboard_sdk.pagination import Cursor, Limit, Page
from pegboard_sdk.services import OrganisationType

from pegboard.authorization.errors import NotHeld
from pegboard.tenancy.errors import (
    InvitationInvalid,
    InvitationOpen,
    LastOwner,
    NotInOrganisation,
    OrganisationNotFound,
    OrganisationSuspended,
    TooManyInvitations,
)
from pegboard.tenancy.invitations import InvitationService
from pegboard.tenancy.members import MemberService
from pegboard.tenancy.organisation_schemas import (
    Invitation,
    InvitationAnswer,
    InvitationCreate,
    Member,
    MemberRole,
    Organisation,
    OrganisationCreate,
    OrganisationPatch,
    Transfer,
)
from pegboard.tenancy.organisations import OrganisationService
from pegboard.tenancy.permissions import (
    INVITATION_ANSWER,
    INVITATION_LIST,
    INVITATION_REVOKE,
    INVITATION_SEND,
    MEMBER_EDIT,
    MEMBER_REMOVE,
    ORGANISATION_CREATE,
    ORGANISATION_DELETE,
    ORGANISATION_EDIT,
    ORGANISATION_LEAVE,
    ORGANISATION_LIST,
    ORGANISATION_READ,
    ORGANISATION_SUSPEND,
    ORGANISATION_TRANSFER,
)
from pegboard.tenancy.schemas import Suspension
from pegboard.work import Work

__all__ = ("CONTROLLERS", "InvitationController", "OrganisationAdminController", "OrganisationController")

ACCESS = (OrganisationNotFound, NotInOrganisation)
CHANGES = (*ACCESS, OrganisationSuspended)
TypeFilter = Annotated[OrganisationType | None, QueryParameter(name="type", description="Only those of this type.")]


class OrganisationController(Controller):
    """Agencies and companies: those that you belong to."""

    path = "/organisations"

    @get(permission=ORGANISATION_READ, errors=(InvalidCursor,))
    async def list_organisations(self, uow: Work, limit: Limit = 20, cursor: Cursor = None) -> Page[Organisation]:
        """The organisations that you belong to, newest first, with your role in each."""
        return await OrganisationService(uow).list_own(limit=limit, cursor=cursor)

    @post(permission=ORGANISATION_CREATE)
    async def create_organisation(self, data: OrganisationCreate, uow: Work) -> Response[Organisation]:
        """Make an organisation. You own it."""
        made = await OrganisationService(uow).create(data)
        return with_etag(made, made.version, status_code=201)

    @get("/{organisation_id:uuid}", permission=ORGANISATION_READ, errors=ACCESS)
    async def read_organisation(self, organisation_id: UUID, uow: Work) -> Response[Organisation]:
        """An organisation that you belong to."""
        found = await OrganisationService(uow).get(organisation_id)
        return with_etag(found, found.version)

    @patch(
        "/{organisation_id:uuid}",
        permission=ORGANISATION_EDIT,
        errors=(*CHANGES, PreconditionRequired, PreconditionFailed),
    )
    async def edit_organisation(
        self, organisation_id: UUID, data: OrganisationPatch, uow: Work, if_match: IfMatch = None
    ) -> Response[Organisation]:
        """Edit an organisation's profile."""
        edited = await OrganisationService(uow).edit(organisation_id, data, if_match=if_match)
        return with_etag(edited, edited.version)

    @delete("/{organisation_id:uuid}", permission=ORGANISATION_DELETE, fresh=True, errors=CHANGES)
    async def delete_organisation(self, organisation_id: UUID, uow: Work) -> None:
        """Delete an organisation: nobody acts for it any more. It can't be undone."""
        await OrganisationService(uow).delete(organisation_id)

    @get("/{organisation_id:uuid}/members", permission=ORGANISATION_READ, errors=(*ACCESS, InvalidCursor))
    async def list_organisation_members(
        self, organisation_id: UUID, uow: Work, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Member]:
        """Who belongs to an organisation."""
        return await MemberService(uow).list(organisation_id, limit=limit, cursor=cursor)

    @put(
        "/{organisation_id:uuid}/members/{account_id:uuid}",
        permission=MEMBER_EDIT,
        status=204,
        errors=(*CHANGES, NotFound, InvalidInput, NotHeld, LastOwner),
    )
    async def set_organisation_member_role(
        self, organisation_id: UUID, account_id: UUID, data: MemberRole, uow: Work
    ) -> None:
        """Give a member another role in an organisation: none that grants more than yours."""
        await MemberService(uow).set_role(organisation_id, account_id, data.role)

    @delete(
        "/{organisation_id:uuid}/members/{account_id:uuid}",
        permission=MEMBER_REMOVE,
        errors=(*CHANGES, NotHeld, LastOwner),
    )
    async def remove_organisation_member(self, organisation_id: UUID, account_id: UUID, uow: Work) -> None:
        """Remove a member from an organisation."""
        await MemberService(uow).remove(organisation_id, account_id)

    @post("/{organisation_id:uuid}/leave", permission=ORGANISATION_LEAVE, status=204, errors=(*ACCESS, LastOwner))
    async def leave_organisation(self, organisation_id: UUID, uow: Work) -> None:
        """Leave an organisation. Its last owner can't."""
        await MemberService(uow).leave(organisation_id)

    @post(
        "/{organisation_id:uuid}/transfer",
        permission=ORGANISATION_TRANSFER,
        fresh=True,
        status=204,
        errors=(*CHANGES, NotFound),
    )
    async def transfer_organisation(self, organisation_id: UUID, data: Transfer, uow: Work) -> None:
        """Make another member the owner in your place. You become a manager."""
        await MemberService(uow).transfer(organisation_id, data.account_id)

    @get("/{organisation_id:uuid}/invitations", permission=INVITATION_LIST, errors=(*ACCESS, InvalidCursor))
    async def list_organisation_invitations(
        self, organisation_id: UUID, uow: Work, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Invitation]:
        """Whom an organisation has invited, newest first."""
        return await InvitationService(uow).list(organisation_id, limit=limit, cursor=cursor)

    @post(
        "/{organisation_id:uuid}/invitations",
        permission=INVITATION_SEND,
        errors=(*CHANGES, InvalidInput, NotHeld, InvitationOpen, TooManyInvitations),
    )
    async def invite_to_organisation(self, organisation_id: UUID, data: InvitationCreate, uow: Work) -> Invitation:
        """Invite somebody by mail. The answer does not tell whether they have an account."""
        return await InvitationService(uow).send(organisation_id, email=data.email, role=data.role)

    @post(
        "/{organisation_id:uuid}/invitations/{invitation_id:uuid}/resend",
        permission=INVITATION_SEND,
        status=200,
        errors=(*CHANGES, NotFound, NotHeld, TooManyInvitations),
    )
    async def resend_organisation_invitation(self, organisation_id: UUID, invitation_id: UUID, uow: Work) -> Invitation:
        """Send an invitation again. The message before is worthless then."""
        return await InvitationService(uow).resend(organisation_id, invitation_id)

    @delete(
        "/{organisation_id:uuid}/invitations/{invitation_id:uuid}",
        permission=INVITATION_REVOKE,
        errors=(*CHANGES, NotFound),
    )
    async def revoke_organisation_invitation(self, organisation_id: UUID, invitation_id: UUID, uow: Work) -> None:
        """Take an invitation back."""
        await InvitationService(uow).revoke(organisation_id, invitation_id)


class InvitationController(Controller):
    """Invitations that were sent to you."""

    path = "/organisation-invitations"

    @post("/accept", permission=INVITATION_ANSWER, guessable=True, status=200, errors=(InvitationInvalid,))
    async def accept_organisation_invitation(self, data: InvitationAnswer, uow: Work) -> Organisation:
        """Accept an invitation, with the token of the message, as the account with the address that it was sent to."""
        return await InvitationService(uow).accept(data.token)

    @post("/decline", permission=INVITATION_ANSWER, guessable=True, status=204, errors=(InvitationInvalid,))
    async def decline_organisation_invitation(self, data: InvitationAnswer, uow: Work) -> None:
        """Decline an invitation."""
        await InvitationService(uow).decline(data.token)


class OrganisationAdminController(Controller):
    """All organisations of the marketplace."""

    path = "/admin/organisations"

    @get(permission=ORGANISATION_LIST, errors=(InvalidCursor,))
    async def list_all_organisations(
        self, uow: Work, of_type: TypeFilter = None, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Organisation]:
        """All organisations of the marketplace, newest first."""
        return await OrganisationService(uow).list_all(type=of_type, limit=limit, cursor=cursor)

    @post(
        "/{organisation_id:uuid}/suspend", permission=ORGANISATION_SUSPEND, status=200, errors=(OrganisationNotFound,)
    )
    async def suspend_organisation(self, organisation_id: UUID, data: Suspension, uow: Work) -> Organisation:
        """Suspend an organisation: nobody acts for it."""
        return await OrganisationService(uow).set_status(organisation_id, "suspended", data.reason)

    @post("/{organisation_id:uuid}/resume", permission=ORGANISATION_SUSPEND, status=200, errors=(OrganisationNotFound,))
    async def resume_organisation(self, organisation_id: UUID, uow: Work) -> Organisation:
        """Let a suspended organisation go on."""
        return await OrganisationService(uow).set_status(organisation_id, "active")


CONTROLLERS = (OrganisationController, InvitationController, OrganisationAdminController)
