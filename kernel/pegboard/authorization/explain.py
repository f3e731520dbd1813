"""Why somebody may, or may not, do something: decided anew from the database, step by step, as a request would be."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError, InvalidInput, NotFound
from pegboard_sdk.work import Record

from pegboard.authorization.changes import read_policy
from pegboard.authorization.dynamic_segregation import done_before, dynamic_rules
from pegboard.authorization.explain_schemas import (
    Explanation,
    ObjectReason,
    OverrideReason,
    RoleReason,
    RouteReason,
    SessionReason,
)
from pegboard.authorization.policy import TenantPolicy
from pegboard.authorization.schemas import AccountSegregation
from pegboard.authorization.static_segregation import conflicts, static_rules
from pegboard.plugins.routes import routes_of

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("explain",)

_ACCOUNT = """
SELECT a.status,
    array(SELECT role FROM kernel_role_grants g WHERE g.tenant_id = a.tenant_id AND g.account_id = a.id) AS roles,
    (SELECT count(*) FROM kernel_sessions s WHERE s.tenant_id = a.tenant_id AND s.account_id = a.id
        AND s.revoked_at IS NULL AND s.expires_at > statement_timestamp()) AS open_sessions,
    (SELECT max(s.authenticated_at) FROM kernel_sessions s WHERE s.tenant_id = a.tenant_id AND s.account_id = a.id
        AND s.revoked_at IS NULL AND s.expires_at > statement_timestamp()) AS last_proof
FROM kernel_accounts a WHERE a.tenant_id = $1 AND a.id = $2
"""
_EDITS = """
SELECT role, granted, edited_by, created_at, reason FROM kernel_permission_edits
WHERE tenant_id = $1 AND permission = $2
"""
_OVERRIDES = """
SELECT id, role, permission, reason, granted_by, expires_at FROM kernel_overrides
WHERE tenant_id = $1 AND account_id = $2 AND ended_at IS NULL AND expires_at > statement_timestamp()
"""
log = structlog.get_logger("pegboard.authorization")


async def explain(work: "Work", account_id: UUID, permission: str, reference: str | None) -> Explanation:
    """Why the account may or may not use the permission, on the object `reference` (`<object type>:<id>`) if given.

    Raises:
        NotFound: there is no such account.
        InvalidInput: no enabled plugin has the permission, or `reference` is not of that form.
    """
    registry = work.registry
    if permission not in registry.permissions:
        raise InvalidInput(f"No enabled plugin has the permission {permission}.")
    plugin = next(one.name for one in registry.plugins if any(p.name == permission for p in one.permissions))
    account = await work.fetchrow(_ACCOUNT, work.tenant_id, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    policy = await read_policy(work)
    raised = await work.fetch(_OVERRIDES, work.tenant_id, account_id)
    roles = await _roles(work, permission, policy, account, raised)
    overrides = [
        OverrideReason(id=row["id"], reason=row["reason"], granted_by=row["granted_by"], until=row["expires_at"])
        for row in raised
        if row["permission"] == permission
    ]
    session = SessionReason(
        status=account["status"], open_sessions=account["open_sessions"], last_proof=account["last_proof"]
    )
    subject = _subject(work, account_id, policy, frozenset(account["roles"]))
    segregation = _static(work, account_id, policy, frozenset(account["roles"]), permission)
    stops: list[AccountSegregation] = []
    judged: ObjectReason | None = None
    if reference is not None:
        object_type, _, object_id = reference.partition(":")
        if not object_type or not object_id:
            raise InvalidInput("Name the object as <object type>:<id>, such as finance.escrow:0199…")
        stops = await _dynamic(work, account_id, policy, permission, object_type, object_id)
        judged = await _object(work, subject, permission, object_type, object_id)
    routes = _routes(work, permission)
    because = [
        *_about_session(session),
        *_about_grants(permission, plugin, roles, overrides),
        *(stop.detail for stop in stops),
        *([judged.why] if judged is not None else []),
        *_about_proof(work, routes, session),
    ]
    held = subject.may(permission) and session.status == "active"
    fits = judged is None or judged.allowed is not False
    return Explanation(
        account_id=account_id,
        permission=permission,
        plugin=plugin,
        allowed=held and not stops and fits,
        because=because,
        session=session,
        roles=roles,
        overrides=overrides,
        segregation=[*segregation, *stops],
        object=judged,
        routes=routes,
    )


async def _roles(
    work: "Work", permission: str, policy: TenantPolicy, account: Record, raised: list[Record]
) -> list[RoleReason]:
    registry = work.registry
    edits = {row["role"]: row for row in await work.fetch(_EDITS, work.tenant_id, permission)}
    until = {row["role"]: row["expires_at"] for row in raised if row["role"] is not None}
    held = {**until, **dict.fromkeys(account["roles"]), "anonymous": None}
    reasons: list[RoleReason] = []
    for role in sorted(held):
        edit = edits.get(role)
        reasons.append(
            RoleReason(
                role=role,
                grants=permission in policy.permissions_of(frozenset((role,)), registry),
                source="manifest" if edit is None else "tenant",
                edited_by=None if edit is None else edit["edited_by"],
                edited_at=None if edit is None else edit["created_at"],
                reason=None if edit is None else edit["reason"],
                until=held[role],
            )
        )
    return reasons


def _subject(work: "Work", account_id: UUID, policy: TenantPolicy, roles: frozenset[str]) -> Principal:
    """The account as a request of it would be authorized now, with a token that has its present roles."""
    more, extra, _ = policy.raised(account_id, time.time())
    return Principal(
        kind="account",
        tenant_id=work.tenant_id,
        account_id=account_id,
        roles=roles | more,
        permissions=policy.permissions_of(roles | more | {"anonymous"}, work.registry) | extra,
    )


def _static(
    work: "Work", account_id: UUID, policy: TenantPolicy, roles: frozenset[str], permission: str
) -> list[AccountSegregation]:
    """The static rules that name the permission, or a role that grants it: broken, or why it can't be given."""
    held = policy.holds(account_id, roles, work.registry, time.time())
    rules = static_rules(work.registry, policy)
    broken = conflicts(rules, held)
    found: list[AccountSegregation] = []
    for rule in rules:
        if permission not in (rule.first, rule.second):
            continue
        other = rule.second if rule.first == permission else rule.first
        if rule in broken:
            detail = f"The account holds {other} too, which this must be kept apart from: {rule.summary}"
        elif other in held:
            detail = f"It can't be given to the account while it holds {other}: {rule.summary}"
        else:
            continue
        found.append(AccountSegregation(rule=rule.name, kind="static", detail=detail))
    return found


async def _dynamic(
    work: "Work", account_id: UUID, policy: TenantPolicy, permission: str, object_type: str, object_id: str
) -> list[AccountSegregation]:
    rules = [rule for rule in dynamic_rules(work.registry, policy, object_type) if rule.second == permission]
    broken = await done_before(work, rules, account_id, object_id)
    if broken is None:
        return []
    rule, when = broken
    detail = f"The account did {rule.first} on this object at {_shown(when)}, so it can't do this: {rule.summary}"
    return [AccountSegregation(rule=rule.name, kind="dynamic", detail=detail)]


async def _object(work: "Work", subject: Principal, permission: str, object_type: str, object_id: str) -> ObjectReason:
    name = f"{object_type}:{object_id}"
    rule = work.registry.object_rules.get(object_type)
    if rule is None:
        why = f"No enabled plugin says who may do what with a {object_type}: only the permission was looked at."
        return ObjectReason(object=name, known=False, visible=None, allowed=None, why=why)
    plugin = object_type.partition(".")[0]
    try:
        verdict = await rule.judge(work.acting_as(plugin), subject, permission, object_id)
    except DomainError as error:
        visible = False if isinstance(error, NotFound) else None
        return ObjectReason(object=name, known=True, visible=visible, allowed=False, why=error.detail)
    except Exception as error:  # a plugin's rule that fails is its failure, and no reason not to explain the rest
        log.exception("object_rule.failed", plugin=plugin, object_type=object_type, error=repr(error))
        why = f"The rule of {plugin} for a {object_type} failed: its author has to mend it. The log says how."
        return ObjectReason(object=name, known=False, visible=None, allowed=None, why=why)
    return ObjectReason(
        object=name, known=True, visible=verdict.visible, allowed=verdict.visible and verdict.allowed, why=verdict.why
    )


def _routes(work: "Work", permission: str) -> list[RouteReason]:
    return [
        RouteReason(method=route.method, path=route.path, fresh=route.fresh)
        for plugin in work.registry.plugins
        for route in routes_of("/api/v1" if plugin.name == "kernel" else f"/api/v1/{plugin.name}", plugin.controllers)
        if route.permission == permission
    ]


def _about_session(session: SessionReason) -> list[str]:
    if session.status != "active":
        return ["The account is disabled, so it can do nothing."]
    if not session.open_sessions:
        return ["The account is not logged in now."]
    return []


def _about_grants(permission: str, plugin: str, roles: list[RoleReason], overrides: list[OverrideReason]) -> list[str]:
    said = [f"The role {one.role} grants {permission}{_from(one, plugin)}." for one in roles if one.grants]
    said += [f"It was given {permission} until {_shown(one.until)}: {one.reason}" for one in overrides]
    if not said:
        said.append(f"None of its roles ({', '.join(one.role for one in roles)}) grants {permission}.")
    said += [
        f"An administrator withdrew {permission} from the role {one.role} at {_shown(one.edited_at)}: {one.reason}"
        for one in roles
        if not one.grants and one.source == "tenant" and one.edited_at is not None
    ]
    return said


def _from(one: RoleReason, plugin: str) -> str:
    said = f", by default of {plugin}"
    if one.source == "tenant" and one.edited_at is not None:
        said = f", as an administrator decided at {_shown(one.edited_at)}"
    return said if one.until is None else f"{said}; the account has the role until {_shown(one.until)}"


def _about_proof(work: "Work", routes: list[RouteReason], session: SessionReason) -> list[str]:
    fresh = [f"{one.method} {one.path}" for one in routes if one.fresh]
    if not fresh:
        return []
    ttl = work.runtime.config.auth.fresh_ttl
    said = f"{', '.join(fresh)} also needs a proof of who asks that is no older than {ttl} s (step-up)"
    return [f"{said}." if session.last_proof is None else f"{said}; the last one is of {_shown(session.last_proof)}."]


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
