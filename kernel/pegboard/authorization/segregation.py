"""The rules of segregation that a tenant makes, beside those of plugins; and who breaks them."""

import time
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.access import PERMISSION_PATTERN
from pegboard_sdk.authorization import DynamicSegregation, StaticSegregation
from pegboard_sdk.errors import Conflict, FieldError, InvalidInput, NotFound
from pegboard_sdk.ids import new_id

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import changed, read_policy, start_change
from pegboard.authorization.permissions import SEGREGATION_EDIT
from pegboard.authorization.policy import Rule, TenantPolicy
from pegboard.authorization.roles import roles_of
from pegboard.authorization.schemas import NewRule, RulesView, RuleView, Violation
from pegboard.authorization.static_segregation import check_tenant, conflicts, find_holders, static_rules

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("MAX_RULES", "SegregationService")

MAX_RULES = 200


class SegregationService:
    """What is kept apart in a tenant."""

    def __init__(self, work: "Work") -> None:
        self._work = work

    async def read(self) -> RulesView:
        """All rules, and who breaks the static ones: what the plugins' defaults, or an update of theirs, brought."""
        work = self._work
        policy = await read_policy(work)
        registry = work.registry
        declared = [
            RuleView(
                id=None,
                name=rule.name,
                kind="static" if isinstance(rule, StaticSegregation) else "dynamic",
                first=rule.first,
                second=rule.second,
                object_type=rule.object_type if isinstance(rule, DynamicSegregation) else None,
                summary=rule.summary,
            )
            for rule in registry.segregation_rules
        ]
        views = [*declared, *(_view(rule) for rule in policy.rules)]
        rules, violations, now = static_rules(registry, policy), list[Violation](), time.time()
        if rules:
            for role in sorted(roles_of(registry, policy)):
                one = frozenset((role,))
                violations += [
                    Violation(rule=rule.name, roles=[role], accounts=0, example=None)
                    for rule in conflicts(rules, one | policy.permissions_of(one, registry))
                ]
            for holders in await find_holders(work, policy):
                held = policy.holds(holders.raised or UUID(int=0), holders.roles, registry, now)
                violations += [
                    Violation(
                        rule=rule.name,
                        roles=sorted(holders.roles),
                        accounts=holders.accounts,
                        example=holders.raised or holders.example,
                    )
                    for rule in conflicts(rules, held)
                ]
        return RulesView(views, violations)

    async def add(self, new: NewRule) -> RuleView:
        """Keep two duties apart from now on.

        Raises:
            InvalidInput: they are one and the same, or not what such a rule can name.
            Conflict: there is this rule, or there are `MAX_RULES`.
            DutiesSegregated: somebody, or a role, holds both now: take one of them away first.
        """
        work = self._work
        before = await start_change(work)
        self._check(new, before)
        if len(before.rules) >= MAX_RULES:
            raise Conflict(f"There are {MAX_RULES} rules already: remove one that nobody needs.")
        pair = {new.first, new.second} if new.object_type is None else None
        for rule in before.rules:
            same = (rule.object_type, rule.first, rule.second) == (new.object_type, new.first, new.second)
            if same or (pair is not None and rule.object_type is None and {rule.first, rule.second} == pair):
                raise Conflict("These duties are kept apart already.")
        added = Rule(new_id(), new.object_type, new.first, new.second, new.summary)
        await check_tenant(work, before, before.but(rules=[added]), now=time.time())
        await work.execute(
            "INSERT INTO kernel_segregation_rules (id, tenant_id, object_type, first, second, summary, created_by)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            added.id,
            work.tenant_id,
            new.object_type,
            new.first,
            new.second,
            new.summary,
            work.principal.account_id,
        )
        await insert_entry(
            work,
            SEGREGATION_EDIT,
            object_type="segregation_rule",
            object_id=added.id,
            after={"first": new.first, "second": new.second, "object_type": new.object_type, "summary": new.summary},
        )
        await changed(work)
        return _view(added)

    async def remove(self, rule_id: UUID) -> None:
        """Let two duties be held together again.

        Raises:
            NotFound: the tenant has no rule with this id. Those of plugins can't be removed.
        """
        work = self._work
        policy = await start_change(work)
        rule = next((rule for rule in policy.rules if rule.id == rule_id), None)
        if rule is None:
            raise NotFound("The marketplace has no rule of its own with this id.")
        await work.execute(
            "DELETE FROM kernel_segregation_rules WHERE tenant_id = $1 AND id = $2", work.tenant_id, rule_id
        )
        await insert_entry(
            work,
            SEGREGATION_EDIT,
            object_type="segregation_rule",
            object_id=rule_id,
            before={"first": rule.first, "second": rule.second, "object_type": rule.object_type},
            after={"removed": True},
        )
        await changed(work)

    def _check(self, new: NewRule, policy: TenantPolicy) -> None:
        errors: list[FieldError] = []
        roles = roles_of(self._work.registry, policy)
        for field, duty in (("/first", new.first), ("/second", new.second)):
            is_permission = PERMISSION_PATTERN.match(duty) is not None
            if new.object_type is not None and not is_permission:
                errors.append(FieldError(field, f"{duty} is no action of the audit trail: <plugin>:<noun>.<verb>."))
            elif new.object_type is None and is_permission and duty not in self._work.registry.permissions:
                errors.append(FieldError(field, f"No enabled plugin has the permission {duty}."))
            elif new.object_type is None and not is_permission and duty not in roles:
                errors.append(FieldError(field, f"There is no role {duty}."))
        if new.first == new.second:
            errors.append(FieldError("/second", "A duty can't be kept apart from itself."))
        if errors:
            raise InvalidInput(" ".join(error.detail for error in errors), errors=errors)


def _view(rule: Rule) -> RuleView:
    return RuleView(
        id=rule.id,
        name=str(rule.id),
        kind="static" if rule.object_type is None else "dynamic",
        first=rule.first,
        second=rule.second,
        object_type=rule.object_type,
        summary=rule.summary,
    )
