"""What the routes of tenants take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from pegboard.identity.schemas import DisplayName, Email
from pegboard.tenancy.hosts import MAX_HOST

__all__ = ("HostUse", "Suspension", "Tenant", "TenantCreate", "TenantHost", "TenantName", "TenantStatus")

TenantStatus = Literal["active", "suspended"]
Slug = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="The short name, as on the command line."
    ),
]
Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
        description="The name that people see.",
    ),
]
Reason = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S", description="Why: it is kept in the audit trail.")
]


class TenantHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host name that leads to a marketplace. The canonical one is what links and messages use."""

    host: Annotated[str, msgspec.Meta(max_length=MAX_HOST)]
    canonical: bool


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A marketplace. `status_reason` says why it is suspended."""

    id: UUID
    slug: str
    name: str
    status: TenantStatus
    status_reason: str
    hosts: list[TenantHost]
    version: int
    created_at: datetime


class TenantCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new marketplace. Its first administrator gets a message by which they choose their password."""

    slug: Slug
    name: Name
    administrator_email: Email
    administrator_name: DisplayName = "Administrator"


class TenantName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A marketplace's new name."""

    name: Name


class Suspension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is suspended."""

    reason: Reason


class HostUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a host name is used."""

    canonical: bool = False
