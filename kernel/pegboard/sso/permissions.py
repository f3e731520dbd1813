"""Permissions of single sign-on."""

from pegboard_sdk.access import Permission, RoleGrant

__all__ = (
    "GRANTS",
    "IDENTITY_LINK",
    "IDENTITY_LIST",
    "IDENTITY_UNLINK",
    "PERMISSIONS",
    "PROVIDER_LIST",
    "PROVIDER_REMOVE",
    "PROVIDER_SET",
)

IDENTITY_LIST = "account:identity.list"
IDENTITY_LINK = "account:identity.link"
IDENTITY_UNLINK = "account:identity.unlink"
PROVIDER_LIST = "account:provider.list"
PROVIDER_SET = "account:provider.set"
PROVIDER_REMOVE = "account:provider.remove"

PERMISSIONS = (
    Permission(IDENTITY_LIST, "see the log-ins elsewhere that their account is linked to"),
    Permission(IDENTITY_LINK, "link their account to a log-in elsewhere"),
    Permission(IDENTITY_UNLINK, "remove a log-in elsewhere from their account"),
    Permission(PROVIDER_LIST, "see how the marketplace's identity providers are set up"),
    Permission(PROVIDER_SET, "set up the marketplace's identity providers"),
    Permission(PROVIDER_REMOVE, "remove the marketplace's identity providers"),
)

GRANTS = (
    RoleGrant("member", (IDENTITY_LIST, IDENTITY_LINK, IDENTITY_UNLINK)),
    RoleGrant("administrator", (PROVIDER_LIST, PROVIDER_SET, PROVIDER_REMOVE)),
)
