"""Plans in PostgreSQL, over a connection of the system role."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from pegboard_sdk.ids import new_id

from pegboard.plugins.errors import PlanApplied, PlanExpired, PlanNotFound
from pegboard.plugins.planning.action import Action
from pegboard.plugins.planning.basis import fingerprint
from pegboard.plugins.planning.content import Basis, Plan, PlanContent

__all__ = ("LIFETIME", "add_plan", "find_plan", "mark_applied", "refuse_used")

LIFETIME = timedelta(hours=24)
KEPT = timedelta(days=30)

_PLAN = """
SELECT id, action::text, content::text, basis::text, fingerprint, created_by, created_at, expires_at, applied_at,
       revision, CASE WHEN applied_at IS NOT NULL THEN 'applied' WHEN expires_at <= now() THEN 'expired' ELSE 'open' END
       AS state
FROM kernel_plugin_plans
"""


async def add_plan(
    connection: Any, action: Action, content: PlanContent, basis: Basis, created_by: UUID | None
) -> Plan:
    """Keep a plan for a day. Old ones go; what was applied is in the audit trail."""
    await connection.execute("DELETE FROM kernel_plugin_plans WHERE created_at < now() - $1::interval", KEPT)
    number = new_id()
    await connection.execute(
        "INSERT INTO kernel_plugin_plans (id, action, content, basis, fingerprint, created_by, expires_at)"
        " VALUES ($1, $2::text::jsonb, $3::text::jsonb, $4::text::jsonb, $5, $6, now() + $7::interval)",
        number,
        *(msgspec.json.encode(one).decode() for one in (action, content, basis)),
        fingerprint(action, content, basis),
        created_by,
        LIFETIME,
    )
    plan, _ = await find_plan(connection, number)
    return plan


async def find_plan(connection: Any, number: UUID) -> tuple[Plan, Basis]:
    """A plan and what it was judged on.

    Raises:
        PlanNotFound: there is none of this id.
    """
    row = await connection.fetchrow(f"{_PLAN} WHERE id = $1", number)
    if row is None:
        raise PlanNotFound(f"There is no plan {number}: make one with `pegboard plugins plan`.")
    fields = dict(row)
    basis = msgspec.convert(json.loads(fields.pop("basis")), Basis)
    fields |= {name: json.loads(fields[name]) for name in ("action", "content")}
    return msgspec.convert(fields, Plan), basis


async def mark_applied(connection: Any, number: UUID, revision: int | None) -> None:
    """The plan is applied: by nobody else, and in time. `revision` is what came of it.

    Raises:
        PlanApplied, PlanExpired: it was, or it is too late.
        PlanNotFound: there is none of this id.
    """
    status = await connection.execute(
        "UPDATE kernel_plugin_plans SET applied_at = now(), revision = $2"
        " WHERE id = $1 AND applied_at IS NULL AND expires_at > now()",
        number,
        revision,
    )
    if status != "UPDATE 1":
        refuse_used(await find_plan(connection, number))


def refuse_used(found: tuple[Plan, Basis]) -> None:
    """Refuse a plan that is not open any more.

    Raises:
        PlanApplied, PlanExpired: why.
    """
    plan, _ = found
    if plan.state == "applied":
        raise PlanApplied(f"The plan was applied at {plan.applied_at:%Y-%m-%d %H:%M:%S} UTC: make a new one.")
    if plan.state == "expired":
        raise PlanExpired(f"The plan expired at {plan.expires_at:%Y-%m-%d %H:%M:%S} UTC: make a new one.")
