"""What the routes of authorization take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

__all__ = (
    "AccountSegregation",
    "Decision",
    "Grant",
    "Matrix",
    "MatrixChange",
    "MatrixEdit",
    "NewOverride",
    "NewRole",
    "NewRule",
    "Override",
    "OverrideState",
    "PermissionView",
    "Reason",
    "Rejection",
    "RoleDescription",
    "RoleView",
    "RolesView",
    "RuleView",
    "RulesView",
    "Violation",
)

Role = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="A role's name.")]
PermissionName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]*:[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*$",
        max_length=200,
        description="A permission, `<plugin>:<noun>.<verb>`.",
    ),
]
Duty = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*)?$",
        max_length=200,
        description="A role or a permission; in a dynamic rule, an action of the audit trail.",
    ),
]
Reason = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S", description="Why: it is kept in the audit trail.")
]
OptionalReason = Annotated[str, msgspec.Meta(max_length=500, description="Why: it is kept in the audit trail.")]
Summary = Annotated[str, msgspec.Meta(max_length=500, description="What it is for, to people.")]
RoleKind = Literal["built_in", "plugin", "custom"]


class RoleView(msgspec.Struct, frozen=True, kw_only=True):
    """A role. `accounts` is how many have it; everybody has `member`, and who is not logged in has `anonymous`."""

    name: str
    kind: RoleKind
    summary: str
    accounts: int


class RolesView(msgspec.Struct, frozen=True, kw_only=True):
    """All roles. `version` is the matrix's."""

    version: int
    roles: list[RoleView]


class PermissionView(msgspec.Struct, frozen=True, kw_only=True):
    """A permission. `summary` completes "may …"; `platform`: it is the operator's, so no marketplace gives it."""

    name: str
    summary: str
    plugin: str
    platform: bool


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of the matrix: whether the role may, and where that comes from. `default` is what the plugins say; where
    `source` is `tenant`, an administrator decided otherwise, `edited_by`, `edited_at` and for a `reason`. `plugin` is
    null for a permission whose plugin is off: the decision counts again when it is on.
    """

    role: str
    permission: str
    plugin: str | None
    granted: bool
    source: Literal["manifest", "tenant"]
    default: bool
    edited_by: UUID | None = None
    edited_at: datetime | None = None
    reason: str | None = None


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Which role may do what. A cell that is not among `grants` is not granted, and nobody decided otherwise."""

    version: int
    roles: list[RoleView]
    permissions: list[PermissionView]
    grants: list[Grant]


class MatrixChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cell. `granted` null takes an earlier decision back: the plugins' default counts again."""

    role: Role
    permission: PermissionName
    granted: bool | None


class MatrixEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cells to change: all of them, or none where one is refused."""

    changes: Annotated[list[MatrixChange], msgspec.Meta(min_length=1, max_length=500)]
    reason: Reason


class NewRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role of the marketplace's own. It grants nothing until the matrix says so."""

    name: Role
    summary: Summary = ""


class RoleDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a role is for."""

    summary: Summary


class NewOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rights for a while: a role or a permission, for one minute to seven days."""

    account_id: UUID
    role: Role | None = None
    permission: PermissionName | None = None
    reason: Reason
    expires_in: Annotated[int, msgspec.Meta(ge=60, le=7 * 86_400, description="Seconds.")]


OverrideState = Literal["live", "ended", "expired"]


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """Rights that somebody has, or had, for a while. `ended_by` is who ended them early."""

    id: UUID
    account_id: UUID
    role: str | None
    permission: str | None
    reason: str
    state: OverrideState
    granted_by: UUID | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: UUID | None


class NewRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Duties to keep apart. Without `object_type`: nobody holds both (roles or permissions). With it: who did `first`
    on an object of this type (actions and types as in the audit trail) can't do `second` on it.
    """

    first: Duty
    second: Duty
    object_type: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_.]*$", max_length=100)] | None = None
    summary: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S", description="Why.")]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A segregation rule. `id` is null where a plugin made it: then it can't be removed here."""

    id: UUID | None
    name: str
    kind: Literal["static", "dynamic"]
    first: str
    second: str
    object_type: str | None
    summary: str


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds together what a static rule keeps apart, because they did before there was the rule: `roles` of
    `accounts` accounts, `example` being one; or, without accounts, the one role that grants both.
    """

    rule: str
    roles: list[str]
    accounts: int
    example: UUID | None


class RulesView(msgspec.Struct, frozen=True):
    """All rules of segregation, and who breaks the static ones."""

    rules: list[RuleView]
    violations: list[Violation]


class AccountSegregation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that stands between an account and what it asks for."""

    rule: str
    kind: Literal["static", "dynamic"]
    detail: str


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is approved."""

    reason: OptionalReason = ""


class Rejection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is rejected: who asked will read it."""

    reason: Reason
