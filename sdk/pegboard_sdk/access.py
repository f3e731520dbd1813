"""Who asks, and what they may do."""

import re
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from pegboard_sdk.errors import Forbidden, Unauthorized

__all__ = ("PERMISSION_PATTERN", "Permission", "Principal", "RoleGrant")

PERMISSION_PATTERN = re.compile(
    r"^(?P<namespace>[a-z][a-z0-9_]*):(?P<noun>[a-z][a-z0-9_]*)\.(?P<verb>[a-z][a-z0-9_]*)$"
)


class Permission(msgspec.Struct, frozen=True):
    """A permission that a plugin defines. `name` is `<plugin>:<noun>.<verb>`; `summary` completes "may …"."""

    name: str
    summary: str


class RoleGrant(msgspec.Struct, frozen=True):
    """Permissions that a plugin adds to a role.

    The kernel knows three roles: `anonymous` (who is not logged in), `member` (every account) and `administrator`
    (runs one marketplace). A plugin may name further roles of its own. `kernel:*` permissions can't be granted by a
    plugin.
    """

    role: str
    permissions: Sequence[str]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts in a unit of work. Its tenant is the only one whose rows the unit of work can see."""

    kind: Literal["account", "anonymous", "system"]
    tenant_id: UUID
    account_id: UUID | None = None
    session_id: UUID | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    authenticated_at: int | None = None
    """When the account last proved who it is (Unix seconds); None where nobody did, as with an API key."""
    methods: frozenset[str] = frozenset()
    """How it proved it, by RFC 8176's names: `pwd`, `otp`, `hwk`, …"""

    def may(self, permission: str) -> bool:
        """Whether the principal holds `permission` (`<plugin>:<noun>.<verb>`). The system principal holds all."""
        return self.kind == "system" or permission in self.permissions

    def require(self, permission: str) -> None:
        """Refuse who does not hold `permission`.

        Raises:
            Unauthorized: nobody is logged in.
            Forbidden: the account lacks the permission.
        """
        if self.may(permission):
            return
        if self.kind == "anonymous":
            raise Unauthorized("Log in first: send an access token in the Authorization header.")
        raise Forbidden(f"This needs the permission {permission}.")

    @property
    def account(self) -> UUID:
        """The account's id.

        Raises:
            Unauthorized: nobody is logged in.
        """
        if self.account_id is None:
            raise Unauthorized("Log in first: send an access token in the Authorization header.")
        return self.account_id
