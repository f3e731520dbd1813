"""Static segregation of duties: pairs of roles or permissions that nobody holds together.

Rules come from plugins and from the tenant. Whatever gives somebody a duty is judged here before it commits: a role, an
edit of the matrix, rights for a while, a new rule. A change is refused for what it brings about, not for what was there
before, so that what is wrong can be mended step by step.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.authorization import StaticSegregation
from pegboard_sdk.work import UnitOfWork

from pegboard.authorization.errors import DutiesSegregated
from pegboard.authorization.policy import TenantPolicy
from pegboard.plugins.registry import Registry

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("Holders", "StaticRule", "check_account", "check_tenant", "conflicts", "find_holders", "static_rules")

# Few sets of roles stand for many accounts. Those who have rights for a while are looked at one by one.
_HOLDERS = """
SELECT roles, count(*) AS accounts, min(account_id::text)::uuid AS example, raised
FROM (
    SELECT g.account_id, array_agg(g.role ORDER BY g.role) AS roles,
           CASE WHEN g.account_id = ANY ($2) THEN g.account_id END AS raised
    FROM kernel_role_grants g WHERE g.tenant_id = $1 GROUP BY g.account_id
) held
GROUP BY roles, raised
"""


class StaticRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, whoever made it: a plugin (`name` is the rule's) or the tenant (`name` is its id)."""

    name: str
    first: str
    second: str
    summary: str
    declared: bool


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """`accounts` accounts with exactly these roles. `raised` is the account whose rights are raised for a while."""

    roles: frozenset[str]
    accounts: int
    example: UUID
    raised: UUID | None


def static_rules(registry: Registry, policy: TenantPolicy) -> list[StaticRule]:
    """The rules that bind in a tenant."""
    declared = [
        StaticRule(name=rule.name, first=rule.first, second=rule.second, summary=rule.summary, declared=True)
        for rule in registry.segregation_rules
        if isinstance(rule, StaticSegregation)
    ]
    own = [
        StaticRule(name=str(rule.id), first=rule.first, second=rule.second, summary=rule.summary, declared=False)
        for rule in policy.rules
        if rule.object_type is None
    ]
    return [*declared, *own]


def conflicts(rules: Iterable[StaticRule], held: frozenset[str]) -> list[StaticRule]:
    """The rules that somebody with these duties breaks."""
    return [rule for rule in rules if rule.first in held and rule.second in held]


def by_defaults(rule: StaticRule, roles: frozenset[str], registry: Registry) -> bool:
    """Whether the plugins' own defaults give both duties to one of the roles: then nobody here gave anything."""
    return rule.declared and any(
        {rule.first, rule.second} <= {role} | registry.role_permissions.get(role, frozenset()) for role in roles
    )


def check_account(
    registry: Registry,
    policy: TenantPolicy,
    account_id: UUID,
    *,
    before: frozenset[str],
    after: frozenset[str],
    now: float,
) -> None:
    """Refuse to give an account with the roles `before` the roles `after`, if that brings duties together.

    Raises:
        DutiesSegregated: it does; the error names the rule.
    """
    rules = static_rules(registry, policy)
    if not rules:
        return
    already = conflicts(rules, policy.holds(account_id, before, registry, now))
    for rule in conflicts(rules, policy.holds(account_id, after, registry, now)):
        if rule not in already and not by_defaults(rule, after, registry):
            raise _refusal(rule, "the account")


async def check_tenant(work: "Work", before: TenantPolicy, after: TenantPolicy, *, now: float) -> None:
    """Refuse to change the tenant's decisions from `before` to `after`, if that brings duties together: in one role, or
    in anybody's hands. A rule that is new is broken by whoever holds both of its duties already.

    Raises:
        DutiesSegregated: it does; the error names the rule and an example.
    """
    registry = work.registry
    rules = static_rules(registry, after)
    if not rules:
        return
    old = static_rules(registry, before)
    for role in sorted(registry.role_permissions.keys() | after.roles | after.edits.keys()):
        one = frozenset((role,))
        already = conflicts(old, one | before.permissions_of(one, registry))
        for rule in conflicts(rules, one | after.permissions_of(one, registry)):
            if rule not in already and not by_defaults(rule, one, registry):
                raise _refusal(rule, f"the role {role}")
    for holders in await find_holders(work, before, after):
        account = holders.raised or UUID(int=0)
        already = conflicts(old, before.holds(account, holders.roles, registry, now))
        for rule in conflicts(rules, after.holds(account, holders.roles, registry, now)):
            if rule not in already and not by_defaults(rule, holders.roles, registry):
                more = f" and {holders.accounts - 1} more" if holders.accounts > 1 else ""
                raise _refusal(rule, f"the account {holders.example}{more}")


async def find_holders(work: UnitOfWork, *policies: TenantPolicy) -> list[Holders]:
    """Everybody in the tenant, by the roles that they have."""
    raised = {account for policy in policies for account in policy.overrides}
    return [
        Holders(roles=frozenset(row["roles"]), accounts=row["accounts"], example=row["example"], raised=row["raised"])
        for row in await work.fetch(_HOLDERS, work.tenant_id, list(raised))
    ]


def _refusal(rule: StaticRule, who: str) -> DutiesSegregated:
    return DutiesSegregated(
        f"The rule {rule.name} keeps {rule.first} and {rule.second} apart, and {who} would hold both: {rule.summary}"
        " Take one of them away first."
    )
