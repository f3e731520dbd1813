"""Permissions of authorization itself: an administrator's, but for what everybody does with approvals."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = (
    "APPROVAL_DECIDE",
    "APPROVAL_EXPIRE",
    "APPROVAL_READ",
    "APPROVAL_REQUEST",
    "APPROVAL_WITHDRAW",
    "GRANTS",
    "MATRIX_EDIT",
    "MATRIX_READ",
    "OVERRIDE_EXPIRE",
    "OVERRIDE_GRANT",
    "PERMISSIONS",
    "SEGREGATION_EDIT",
)

MATRIX_READ = "account:matrix.read"
MATRIX_EDIT = "account:matrix.edit"
OVERRIDE_GRANT = "account:override.grant"
SEGREGATION_EDIT = "account:segregation.edit"
APPROVAL_READ = "account:approval.read"
APPROVAL_DECIDE = "account:approval.decide"
APPROVAL_WITHDRAW = "account:approval.withdraw"

# Not permissions: nobody asks for these over HTTP. They are what the audit trail calls what happens by itself, or what
# a plugin does for somebody.
APPROVAL_REQUEST = "account:approval.request"
APPROVAL_EXPIRE = "account:approval.expire"
OVERRIDE_EXPIRE = "account:override.expire"

PERMISSIONS = (
    Permission(MATRIX_READ, "see which role may do what, and why somebody may or may not"),
    Permission(MATRIX_EDIT, "change which role may do what, as far as they may do it themselves"),
    Permission(OVERRIDE_GRANT, "raise somebody's rights for a while"),
    Permission(SEGREGATION_EDIT, "say which duties nobody may hold together"),
    Permission(APPROVAL_READ, "see the approvals that they asked for or may decide"),
    Permission(APPROVAL_DECIDE, "decide approvals whose own permission they hold too"),
    Permission(APPROVAL_WITHDRAW, "take back their own requests for approval"),
)

GRANTS = (
    RoleGrant("member", (APPROVAL_READ, APPROVAL_DECIDE, APPROVAL_WITHDRAW)),
    RoleGrant("administrator", (MATRIX_READ, MATRIX_EDIT, OVERRIDE_GRANT, SEGREGATION_EDIT)),
)
