"""What the routes of organisations take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from pegboard_sdk.services import OrganisationStatus, OrganisationType

from pegboard.identity.schemas import Email, TokenText
from pegboard.tenancy.schemas import Name

__all__ = (
    "Invitation",
    "InvitationAnswer",
    "InvitationCreate",
    "InvitationState",
    "Member",
    "MemberRole",
    "Organisation",
    "OrganisationCreate",
    "OrganisationPatch",
    "Transfer",
)

InvitationState = Literal["open", "accepted", "declined", "revoked", "expired"]
Role = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]{0,49}$",
        description="A role in the organisation: owner, manager, member, or one that a plugin or the marketplace adds.",
    ),
]
Description = Annotated[str, msgspec.Meta(max_length=2000, description="What it does, to people.")]
Website = Annotated[
    str,
    msgspec.Meta(
        max_length=300, pattern=r"^(https?://[^\s\x00-\x1f\x7f]+)?$", description="Its address on the web, or empty."
    ),
]


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """An agency or a company. `role` is what the caller is there; null where they look as an administrator."""

    id: UUID
    type: OrganisationType
    name: str
    description: str
    website: str
    status: OrganisationStatus
    role: str | None
    version: int
    created_at: datetime


class OrganisationCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new organisation. Who makes it owns it."""

    type: OrganisationType
    name: Name
    description: Description = ""
    website: Website = ""


class OrganisationPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a profile. Its type stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    website: Website | UnsetType = UNSET


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in an organisation."""

    account_id: UUID
    display_name: str
    role: str
    joined_at: datetime


class MemberRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member's new role."""

    role: Role


class Transfer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who owns the organisation from now on: a member of it. The caller becomes a manager."""

    account_id: UUID


class InvitationCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite. The answer is the same whether or not there is an account with this address."""

    email: Email
    role: Role = "member"


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation, without its token: that is only in the message. `sent`: how many messages went out."""

    id: UUID
    organisation_id: UUID
    email: str
    role: str
    state: InvitationState
    sent: int
    invited_by: UUID | None
    expires_at: datetime
    created_at: datetime


class InvitationAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of the message that brought an invitation."""

    token: TokenText
