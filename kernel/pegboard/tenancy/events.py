"""What happens to organisations, told to plugins."""

from typing import ClassVar
from uuid import UUID

from pegboard_sdk.events import Event

__all__ = (
    "EVENTS",
    "MemberJoined",
    "MemberLeft",
    "OrganisationCreated",
    "OrganisationDeleted",
    "OrganisationResumed",
    "OrganisationSuspended",
    "OwnershipTransferred",
)


class OrganisationCreated(Event, frozen=True, kw_only=True):
    """Somebody made an organisation and owns it. `type`: agency or company."""

    name: ClassVar[str] = "kernel.organisation_created"
    organisation_id: UUID
    type: str
    owner_id: UUID


class OrganisationDeleted(Event, frozen=True, kw_only=True):
    """One of its owners deleted an organisation: nobody acts for it any more."""

    name: ClassVar[str] = "kernel.organisation_deleted"
    organisation_id: UUID


class OrganisationSuspended(Event, frozen=True, kw_only=True):
    """The marketplace's administrator suspended an organisation."""

    name: ClassVar[str] = "kernel.organisation_suspended"
    organisation_id: UUID


class OrganisationResumed(Event, frozen=True, kw_only=True):
    """The marketplace's administrator let a suspended organisation go on."""

    name: ClassVar[str] = "kernel.organisation_resumed"
    organisation_id: UUID


class MemberJoined(Event, frozen=True, kw_only=True):
    """Somebody became a member of an organisation, with a role there."""

    name: ClassVar[str] = "kernel.organisation_member_joined"
    organisation_id: UUID
    account_id: UUID
    role: str


class MemberLeft(Event, frozen=True, kw_only=True):
    """Somebody is no member of an organisation any more: they left, or were removed."""

    name: ClassVar[str] = "kernel.organisation_member_left"
    organisation_id: UUID
    account_id: UUID


class OwnershipTransferred(Event, frozen=True, kw_only=True):
    """An owner of an organisation made another member its owner in their place."""

    name: ClassVar[str] = "kernel.organisation_ownership_transferred"
    organisation_id: UUID
    from_id: UUID
    to_id: UUID


EVENTS: tuple[type[Event], ...] = (
    OrganisationCreated,
    OrganisationDeleted,
    OrganisationSuspended,
    OrganisationResumed,
    MemberJoined,
    MemberLeft,
    OwnershipTransferred,
)
