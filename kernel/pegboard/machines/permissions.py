"""Permissions of machines: everybody has their own keys, administrators have the service accounts."""

from pegboard_sdk.access import Permission, RoleGrant

from pegboard.identity.permissions import SESSION_PROVE

__all__ = (
    "API_KEY_CREATE",
    "API_KEY_LIST",
    "API_KEY_REVOKE",
    "API_KEY_ROTATE",
    "CREDENTIAL_CREATE",
    "CREDENTIAL_REVOKE",
    "GRANTS",
    "PEOPLE_ONLY",
    "PERMISSIONS",
    "SERVICE_ACCOUNT_CREATE",
    "SERVICE_ACCOUNT_LIST",
    "SIGNING_KEY_LIST",
    "SIGNING_KEY_ROTATE",
    "TOKEN_INTROSPECT",
)

API_KEY_LIST = "account:api_key.list"
API_KEY_CREATE = "account:api_key.create"
API_KEY_ROTATE = "account:api_key.rotate"
API_KEY_REVOKE = "account:api_key.revoke"
SERVICE_ACCOUNT_LIST = "account:service_account.list"
SERVICE_ACCOUNT_CREATE = "account:service_account.create"
CREDENTIAL_CREATE = "account:credential.create"
CREDENTIAL_REVOKE = "account:credential.revoke"
TOKEN_INTROSPECT = "account:token.introspect"  # noqa: S105  # a permission
SIGNING_KEY_LIST = "kernel:signing_key.list"
SIGNING_KEY_ROTATE = "kernel:signing_key.rotate"

PEOPLE_ONLY = frozenset((SESSION_PROVE,))
"""What no machine can do, so no scope either."""

PERMISSIONS = (
    Permission(API_KEY_LIST, "list their own API keys"),
    Permission(API_KEY_CREATE, "make API keys that act for them"),
    Permission(API_KEY_ROTATE, "replace an API key of their own; a key that has this scope replaces itself"),
    Permission(API_KEY_REVOKE, "end their own API keys"),
    Permission(SERVICE_ACCOUNT_LIST, "list the marketplace's service accounts and their credentials"),
    Permission(SERVICE_ACCOUNT_CREATE, "make service accounts"),
    Permission(CREDENTIAL_CREATE, "make and replace API keys and client credentials of service accounts"),
    Permission(CREDENTIAL_REVOKE, "end API keys and client credentials, service accounts' and people's"),
    Permission(TOKEN_INTROSPECT, "ask whether an access token of the marketplace stands"),
    Permission(SIGNING_KEY_LIST, "list the keys that sign access tokens"),
    Permission(SIGNING_KEY_ROTATE, "replace the key that signs access tokens"),
)

GRANTS = (
    RoleGrant("member", (API_KEY_LIST, API_KEY_CREATE, API_KEY_ROTATE, API_KEY_REVOKE)),
    RoleGrant(
        "administrator",
        (
            SERVICE_ACCOUNT_LIST,
            SERVICE_ACCOUNT_CREATE,
            CREDENTIAL_CREATE,
            CREDENTIAL_REVOKE,
            TOKEN_INTROSPECT,
        ),
    ),
    RoleGrant("operator", (SIGNING_KEY_LIST, SIGNING_KEY_ROTATE)),
)
