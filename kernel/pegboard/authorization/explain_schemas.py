"""What an explanation says."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from pegboard.authorization.schemas import AccountSegregation

__all__ = ("Explanation", "ObjectReason", "OverrideReason", "RoleReason", "RouteReason", "SessionReason")


class RoleReason(msgspec.Struct, frozen=True, kw_only=True):
    """One role of the account, and what it says of the permission. `source`: `manifest` (the plugin's default) or
    `tenant` (somebody decided otherwise: `edited_by`, `edited_at`, `reason`). `until`: the account has it for a while.
    """

    role: str
    grants: bool
    source: Literal["manifest", "tenant"]
    edited_by: UUID | None = None
    edited_at: datetime | None = None
    reason: str | None = None
    until: datetime | None = None


class OverrideReason(msgspec.Struct, frozen=True, kw_only=True):
    """The account has the permission itself, for a while."""

    id: UUID
    reason: str
    granted_by: UUID | None
    until: datetime


class SessionReason(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the account can act at all: its status, its open sessions, and when it last proved who it is."""

    status: Literal["active", "disabled"]
    open_sessions: int
    last_proof: datetime | None


class ObjectReason(msgspec.Struct, frozen=True, kw_only=True):
    """What the object's own rule says; `known` is false where its plugin declares none, and nothing is known then."""

    object: str
    known: bool
    visible: bool | None
    allowed: bool | None
    why: str


class RouteReason(msgspec.Struct, frozen=True, kw_only=True):
    """A route that needs the permission. `fresh`: it also needs a fresh proof of who asks (step-up)."""

    method: str
    path: str
    fresh: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why somebody may or may not do something. `because` has the sentences; the rest is what they stand on. `plugin`
    defines the permission.
    """

    account_id: UUID
    permission: str
    plugin: str
    allowed: bool
    because: list[str]
    session: SessionReason
    roles: list[RoleReason]
    overrides: list[OverrideReason]
    segregation: list[AccountSegregation]
    object: ObjectReason | None
    routes: list[RouteReason]
