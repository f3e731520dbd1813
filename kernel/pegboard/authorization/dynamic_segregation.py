"""Dynamic segregation of duties: who did one thing on an object can't do another on it.

It is judged where the second action is put on record, in its transaction, from the audit trail: what isn't on record
didn't happen, and what is can't be taken out. Both actions hold a lock on (actor, object), so of two at once one sees
the other. It is taken in READ COMMITTED's way: the statement after it sees what whoever held it has committed. (Under
SERIALIZABLE an action that began before the other one ended comes before it in the order, where the rule allows both.)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.authorization import DynamicSegregation
from pegboard_sdk.errors import Forbidden
from pegboard_sdk.work import UnitOfWork

from pegboard.authorization.policy import TenantPolicy
from pegboard.plugins.registry import Registry

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("AlreadyDidTheOther", "DynamicRule", "done_before", "dynamic_rules", "judge_action")

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('pegboard:duties:' || $1, 0))"
_DONE = """
SELECT action, occurred_at FROM kernel_audit_entries
WHERE tenant_id = $1 AND object_id = $2 AND object_type = $3 AND actor_id = $4 AND action = ANY ($5)
    AND outcome = 'success'
ORDER BY id LIMIT 1
"""


class AlreadyDidTheOther(Forbidden):
    """A rule keeps two actions on one object apart, and the account did the other one. `detail` says which, and why."""

    code = "authorization.already_acted"


class DynamicRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, whoever made it: a plugin (`name` is the rule's) or the tenant (`name` is its id)."""

    name: str
    object_type: str
    first: str
    second: str
    summary: str


def dynamic_rules(registry: Registry, policy: TenantPolicy, object_type: str) -> list[DynamicRule]:
    """The rules that bind on objects of a type."""
    declared = [
        DynamicRule(name=rule.name, object_type=object_type, first=rule.first, second=rule.second, summary=rule.summary)
        for rule in registry.segregation_rules
        if isinstance(rule, DynamicSegregation) and rule.object_type == object_type
    ]
    own = [
        DynamicRule(
            name=str(rule.id), object_type=object_type, first=rule.first, second=rule.second, summary=rule.summary
        )
        for rule in policy.rules
        if rule.object_type == object_type
    ]
    return [*declared, *own]


async def judge_action(
    work: "Work", actor: Principal, action: str, object_type: str, object_id: UUID | str | None
) -> None:
    """Refuse `action` to an account that did what a rule keeps apart from it. Where no rule names the action it costs
    nothing but the look; the rules are those that this process knows.

    Raises:
        AlreadyDidTheOther: it did.
    """
    if actor.account_id is None or object_id is None:
        return
    registry, policy = work.registry, work.runtime.authenticator.policies.of(work.tenant_id)
    if not registry.segregation_rules and not policy.rules:
        return
    rules = [rule for rule in dynamic_rules(registry, policy, object_type) if action in (rule.first, rule.second)]
    if not rules:
        return
    await work.execute(_LOCK, f"{work.tenant_id}:{actor.account_id}:{object_type}:{object_id}")
    broken = await done_before(work, [rule for rule in rules if rule.second == action], actor.account_id, object_id)
    if broken is not None:
        rule, when = broken
        raise AlreadyDidTheOther(
            f"You did {rule.first} on this on {when:%Y-%m-%d}, so somebody else has to do {action}: {rule.summary}"
        )


async def done_before(
    uow: UnitOfWork, rules: Sequence[DynamicRule], account_id: UUID, object_id: UUID | str
) -> tuple[DynamicRule, datetime] | None:
    """The rule whose first action the account has done on the object, and when; None if it did none of them."""
    if not rules:
        return None
    row = await uow.fetchrow(
        _DONE, uow.tenant_id, str(object_id), rules[0].object_type, account_id, [rule.first for rule in rules]
    )
    if row is None:
        return None
    return next(rule for rule in rules if rule.first == row["action"]), row["occurred_at"]
