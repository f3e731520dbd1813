"""Permissions of identity.

Every account may see and end what is its own; the administrator of a marketplace manages its accounts.
"""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = (
    "ACCOUNT_DISABLE",
    "ACCOUNT_LIST",
    "GRANTS",
    "OPERATOR_GRANT",
    "PERMISSIONS",
    "ROLE_GRANT",
    "SELF_READ",
    "SELF_UPDATE",
    "SESSION_END",
    "SESSION_END_ANY",
    "SESSION_LIST",
    "SESSION_PROVE",
)

SELF_READ = "account:self.read"
SELF_UPDATE = "account:self.update"
SESSION_LIST = "account:session.list"
SESSION_END = "account:session.end"
SESSION_END_ANY = "account:session.end_any"
SESSION_PROVE = "account:session.prove"
ACCOUNT_LIST = "account:account.list"
ACCOUNT_DISABLE = "account:account.disable"
ROLE_GRANT = "account:role.grant"
OPERATOR_GRANT = "kernel:operator.grant"

PERMISSIONS = (
    Permission(SELF_READ, "read their own account"),
    Permission(SELF_UPDATE, "change their own password and e-mail address"),
    Permission(SESSION_LIST, "see where they are logged in"),
    Permission(SESSION_END, "log out, here and elsewhere"),
    Permission(SESSION_END_ANY, "log the marketplace's accounts out"),
    Permission(SESSION_PROVE, "prove anew who they are"),
    Permission(ACCOUNT_LIST, "list the marketplace's accounts"),
    Permission(ACCOUNT_DISABLE, "keep the marketplace's accounts from logging in"),
    Permission(ROLE_GRANT, "change the roles of the marketplace's accounts"),
    Permission(OPERATOR_GRANT, "make somebody an operator of the platform"),
)

GRANTS = (
    RoleGrant("member", (SELF_READ, SELF_UPDATE, SESSION_LIST, SESSION_END, SESSION_PROVE)),
    RoleGrant("administrator", (SESSION_END_ANY, ACCOUNT_LIST, ACCOUNT_DISABLE, ROLE_GRANT)),
    RoleGrant("operator", (OPERATOR_GRANT,)),
)
