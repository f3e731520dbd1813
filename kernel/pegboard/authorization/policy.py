"""What one tenant decided about authorization, as a process keeps it: decisions are made from this, in memory.

The plugins' defaults are in the registry; a policy holds what differs from them. A tenant that decided nothing has the
empty policy.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from pegboard.plugins.registry import Registry

__all__ = ("NEVER", "POLICY_COLUMNS", "Edit", "Override", "Rule", "TenantPolicy", "decode_policy", "is_platforms")

NEVER = float("inf")
_MAX_REGISTRIES = 2
"""While a generation drains, requests come on the old and the new one."""

POLICY_COLUMNS = """
v.tenant_id, v.version, json_build_object(
    'roles', (SELECT json_agg(r.name) FROM kernel_roles r WHERE r.tenant_id = v.tenant_id),
    'edits', (
        SELECT json_agg(json_build_array(e.role, e.permission, e.granted))
        FROM kernel_permission_edits e WHERE e.tenant_id = v.tenant_id
    ),
    'overrides', (
        SELECT json_agg(json_build_array(
            o.account_id, o.role, o.permission, extract(epoch FROM o.expires_at)::double precision))
        FROM kernel_overrides o
        WHERE o.tenant_id = v.tenant_id AND o.ended_at IS NULL AND o.expires_at > statement_timestamp()
    ),
    'rules', (
        SELECT json_agg(json_build_array(s.id, s.object_type, s.first, s.second, s.summary))
        FROM kernel_segregation_rules s WHERE s.tenant_id = v.tenant_id
    )
)::text AS policy
"""
"""What `decode_policy` takes, of `kernel_authorization_versions v`."""


class Edit(msgspec.Struct, frozen=True, array_like=True):
    """A permission that the tenant gave a role (`granted`) or took from it."""

    role: str
    permission: str
    granted: bool


class Override(msgspec.Struct, frozen=True, array_like=True):
    """A role or a permission that an account has until `expires_at` (Unix seconds)."""

    account_id: UUID
    role: str | None
    permission: str | None
    expires_at: float


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """A segregation rule of the tenant's; static where it has no `object_type`."""

    id: UUID
    object_type: str | None
    first: str
    second: str
    summary: str


class _Stored(msgspec.Struct, frozen=True):
    roles: list[str] | None
    edits: list[Edit] | None
    overrides: list[Override] | None
    rules: list[Rule] | None


class TenantPolicy:
    """Immutable, but for what it remembers of what it worked out. Times are Unix seconds."""

    __slots__ = ("_granted", "edits", "overrides", "roles", "rules", "version")

    def __init__(
        self,
        version: int = 0,
        *,
        roles: Sequence[str] = (),
        edits: Sequence[Edit] = (),
        overrides: Sequence[Override] = (),
        rules: Sequence[Rule] = (),
    ) -> None:
        self.version = version
        self.roles = frozenset(roles)
        self.rules = tuple(rules)
        by_role: dict[str, dict[str, bool]] = {}
        for edit in edits:
            by_role.setdefault(edit.role, {})[edit.permission] = edit.granted
        self.edits: Mapping[str, Mapping[str, bool]] = by_role
        by_account: dict[UUID, tuple[Override, ...]] = {}
        for override in overrides:
            by_account[override.account_id] = (*by_account.get(override.account_id, ()), override)
        self.overrides: Mapping[UUID, tuple[Override, ...]] = by_account
        self._granted: list[tuple[Registry, dict[frozenset[str], frozenset[str]]]] = []

    def but(
        self,
        *,
        edits: Sequence[Edit] | None = None,
        overrides: Sequence[Override] = (),
        rules: Sequence[Rule] = (),
    ) -> "TenantPolicy":
        """As this, but with other edits, and with further overrides and rules: to judge a change before it is made."""
        if edits is None:
            edits = [Edit(role, name, on) for role, names in self.edits.items() for name, on in names.items()]
        return TenantPolicy(
            self.version,
            roles=tuple(self.roles),
            edits=edits,
            overrides=[*(one for several in self.overrides.values() for one in several), *overrides],
            rules=(*self.rules, *rules),
        )

    def permissions_of(self, roles: frozenset[str], registry: Registry) -> frozenset[str]:
        """Everything that the roles grant in a generation. It is worked out once for each set of roles."""
        granted = next((granted for known, granted in self._granted if known is registry), None)
        if granted is None:
            granted = {}
            self._granted = [(registry, granted), *self._granted[: _MAX_REGISTRIES - 1]]
        permissions = granted.get(roles)
        if permissions is None:
            permissions = granted[roles] = frozenset().union(*(self._role(role, registry) for role in roles))
        return permissions

    def _role(self, role: str, registry: Registry) -> frozenset[str]:
        default = registry.role_permissions.get(role, frozenset())
        edits = self.edits.get(role)
        if edits is None:
            return default
        # What is the platform's can't be changed by a row, whoever wrote it.
        given = {name for name, granted in edits.items() if granted and not is_platforms(role, name)}
        taken = {name for name, granted in edits.items() if not granted and not is_platforms(role, name)}
        return (default | given) - taken

    def raised(self, account_id: UUID, now: float) -> tuple[frozenset[str], frozenset[str], float]:
        """Roles and permissions that the account has for a while at `now`, and until when that is all."""
        overrides = self.overrides.get(account_id)
        if overrides is None:
            return frozenset(), frozenset(), NEVER
        live = [
            one for one in overrides if one.expires_at > now and not is_platforms(one.role or "", one.permission or "")
        ]
        return (
            frozenset(one.role for one in live if one.role is not None),
            frozenset(one.permission for one in live if one.permission is not None),
            min((one.expires_at for one in live), default=NEVER),
        )

    def holds(self, account_id: UUID, roles: frozenset[str], registry: Registry, now: float) -> frozenset[str]:
        """Every duty of an account with `roles`: roles and permissions, those for a while included."""
        more, permissions, _ = self.raised(account_id, now)
        held = roles | more
        return held | self.permissions_of(held, registry) | permissions


def is_platforms(role: str, permission: str) -> bool:
    """Whether no tenant decides about this permission of this role: it is the platform operator's."""
    return role == "operator" or permission.startswith("kernel:")


def decode_policy(row: Any) -> TenantPolicy:
    """The policy of a row of `POLICY_COLUMNS`."""
    stored = msgspec.json.decode(row["policy"], type=_Stored)
    return TenantPolicy(
        row["version"],
        roles=stored.roles or (),
        edits=stored.edits or (),
        overrides=stored.overrides or (),
        rules=stored.rules or (),
    )
