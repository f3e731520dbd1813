"""Permissions of second factors. Every account sees and changes its own; an administrator says who must have one."""

from pegboard_sdk.access import Permission, RoleGrant

from pegboard.identity.permissions import SELF_READ, SESSION_END, SESSION_LIST, SESSION_PROVE

__all__ = (
    "FACTOR_MANAGE",
    "FACTOR_READ",
    "FACTOR_REQUIRE",
    "FACTOR_RESET",
    "GRANTS",
    "PERMISSIONS",
    "RESTRICTED",
    "RESTRICTED_PERMISSIONS",
)

FACTOR_READ = "account:factor.read"
FACTOR_MANAGE = "account:factor.manage"
FACTOR_REQUIRE = "account:factor.require"
FACTOR_RESET = "account:factor.reset"

PERMISSIONS = (
    Permission(FACTOR_READ, "see their own second factors and trusted devices"),
    Permission(FACTOR_MANAGE, "add and remove their own second factors and trusted devices"),
    Permission(FACTOR_REQUIRE, "say which roles need a second factor"),
    Permission(FACTOR_RESET, "remove all second factors of somebody who has lost theirs"),
)

GRANTS = (
    RoleGrant("member", (FACTOR_READ, FACTOR_MANAGE)),
    RoleGrant("administrator", (FACTOR_REQUIRE, FACTOR_RESET)),
)

RESTRICTED = "restricted-until-second-factor"
"""Stands in the token, instead of the roles, of who needs a second factor and has proved none. No role is called so: a
role's name has no hyphen.
"""

RESTRICTED_PERMISSIONS = frozenset({SELF_READ, SESSION_LIST, SESSION_END, SESSION_PROVE, FACTOR_READ, FACTOR_MANAGE})
"""What they may: set one up, prove one that they have, and log out."""
