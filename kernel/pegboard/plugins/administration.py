"""Changing plugins as somebody: with the audit entries that say so."""

from typing import Any
from uuid import UUID

from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id

from pegboard.config.model import Config
from pegboard.plugins.permissions import TOGGLE
from pegboard.plugins.planning.apply import Applied, apply_plan
from pegboard.plugins.planning.content import Plan
from pegboard.plugins.planning.probe import Probe
from pegboard.plugins.planning.store import find_plan
from pegboard.plugins.revisions import Origin, Revision
from pegboard.plugins.toggle import Audit, Switches, Toggled, toggle
from pegboard.runtime import Runtime
from pegboard.work import Work

__all__ = ("UPGRADE", "apply_as", "change_plugins")

UPGRADE = "kernel:plugin.upgrade"
"""What an upgrade is called in the audit trail; the permission is that of toggling."""


async def change_plugins(
    runtime: Runtime,
    config: Config,
    principal: Principal,
    switches: Switches,
    *,
    probe: Probe,
    cascade: bool = False,
    origin: Origin,
    request_id: str = "",
) -> Toggled:
    """Turn plugins on and off as `principal`; `config` is the configuration as it is written now. The audit entries of
    those that the cascade takes along say on whose account.

    Raises:
        DomainError: see `toggle`.
    """
    return await toggle(
        runtime.database,
        config,
        switches,
        probe=probe,
        cascade=cascade,
        origin=origin,
        requested_by=principal.account_id,
        audit=_audit(runtime, principal, request_id, asked=switches.on | switches.off),
    )


async def apply_as(
    runtime: Runtime,
    config: Config,
    principal: Principal,
    plan: UUID,
    *,
    probe: Probe,
    origin: Origin,
    request_id: str = "",
    uninstalls: bool = False,
) -> Applied:
    """Apply a plan as `principal`; the audit entries name it. `config` is the configuration as it is written now.
    Whoever `uninstalls` afterwards what the plan uninstalls says so.

    Raises:
        DomainError: see `apply_plan`.
    """

    made = await _plan(runtime, plan)

    async def audit_upgrade(connection: Any, applied: Plan) -> None:
        work = Work(connection, runtime, runtime.registry, principal, request_id or new_id().hex)
        for change in applied.content.changes:
            if change.change == "upgrade":
                await work.audit(
                    UPGRADE,
                    object_type="plugin",
                    object_id=change.plugin,
                    before={"version": change.version_from},
                    after={"version": change.version_to, "plan": str(plan)},
                )

    return await apply_plan(
        runtime.database,
        config,
        plan,
        probe=probe,
        origin=origin,
        requested_by=principal.account_id,
        audit=_audit(runtime, principal, request_id, asked=frozenset(made.action.names), plan=str(plan)),
        audit_upgrade=audit_upgrade,
        uninstalls=uninstalls,
    )


async def _plan(runtime: Runtime, plan: UUID) -> Plan:
    async with runtime.database.system_transaction() as connection:
        made, _ = await find_plan(connection, plan)
    return made


def _audit(runtime: Runtime, principal: Principal, request_id: str, *, asked: frozenset[str], **more: str) -> Audit:
    async def audit(connection: Any, revision: Revision, changed: Switches) -> None:
        # In the system role's transaction, in which the revision is written: one is not without the other.
        work = Work(connection, runtime, runtime.registry, principal, request_id or new_id().hex)
        for name, enabled in changed.each.items():
            await work.audit(
                TOGGLE,
                object_type="plugin",
                object_id=name,
                before={"enabled": not enabled},
                after={
                    "enabled": enabled,
                    "revision": revision.number,
                    "state": revision.state,
                    **({} if name in asked else {"because_of": sorted(asked)}),
                    **more,
                },
            )

    return audit
