"""Applies plans: only as long as they hold, and once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec

from pegboard.config.model import Config
from pegboard.database.migrate import migrate
from pegboard.database.migrations import MigrationError
from pegboard.database.pool import Database
from pegboard.database.roles import DatabaseSetupError
from pegboard.plugins import revisions
from pegboard.plugins.discovery import discover
from pegboard.plugins.errors import PlanRefused, PlanStale, PluginUnusable
from pegboard.plugins.planning.basis import changes_since, fingerprint
from pegboard.plugins.planning.content import Basis, Plan
from pegboard.plugins.planning.make import current_basis
from pegboard.plugins.planning.probe import Probe
from pegboard.plugins.planning.store import find_plan, mark_applied, refuse_used
from pegboard.plugins.processes import Process
from pegboard.plugins.revisions import Origin, Revision
from pegboard.plugins.toggle import Audit, Switches, toggle

__all__ = ("Applied", "apply_plan", "check_plan")

AuditUpgrade = Callable[[Any, Plan], Awaitable[None]]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan: the revision that the processes take up, None where the wanted plugins stay the same.
    `gone`: see `Toggled`.
    """

    plan: Plan
    revision: Revision | None
    gone: list[Process] = []


async def apply_plan(
    database: Database,
    config: Config,
    number: UUID,
    *,
    probe: Probe,
    origin: Origin,
    requested_by: UUID | None = None,
    audit: Audit | None = None,
    audit_upgrade: AuditUpgrade | None = None,
    uninstalls: bool = False,
) -> Applied:
    """Do what the plan says. `config` is the configuration as it is written now.

    An upgrade's migrations run here, and the new code runs once the processes were restarted; plugins are turned on and
    off in one revision. What is to be uninstalled is turned off, if the caller `uninstalls` it afterwards.

    Raises:
        PlanNotFound, PlanApplied, PlanExpired, PlanStale, PlanRefused: it can't be applied; nothing changed.
        PluginUnusable: a migration failed.
        DomainError: see `toggle`.
    """
    plan, basis = await check_plan(database, config, number)
    if plan.action.uninstall and not uninstalls:
        raise PlanRefused(_by_hand(plan))
    changes = {name: [one.plugin for one in plan.content.changes if one.change == name] for name in _KINDS}
    uninstalled = frozenset(plan.action.uninstall).intersection(basis.active)
    switches = Switches(frozenset(changes["enable"]), uninstalled.union(changes["disable"]))
    if changes["upgrade"]:
        await _migrate(database, config, basis.active, changes["upgrade"], probe)
    if not switches.each:
        async with database.system_transaction() as connection:
            await revisions.lock(connection)
            await _refuse_stale(connection, basis)
            await mark_applied(connection, number, None)
            if audit_upgrade is not None:
                await audit_upgrade(connection, plan)
            applied, _ = await find_plan(connection, number)
        return Applied(plan=applied, revision=None)

    async def guard(connection: Any, now: Revision | None, file: str) -> None:
        if (None if now is None else now.number) != basis.revision:
            raise PlanStale("The wanted plugins were changed meanwhile: make a new plan.")
        if file != basis.file:
            raise PlanStale("plugins.toml was edited meanwhile: make a new plan.")
        refuse_used(await find_plan(connection, number))

    async def mark(connection: Any, revision: Revision, changed: Switches) -> None:
        await mark_applied(connection, number, revision.number)
        if audit is not None:
            await audit(connection, revision, changed)
        if changes["upgrade"] and audit_upgrade is not None:
            await audit_upgrade(connection, plan)

    toggled = await toggle(
        database,
        config,
        switches,
        probe=probe,
        cascade=True,
        origin=origin,
        requested_by=requested_by,
        audit=mark,
        guard=guard,
    )
    async with database.system_transaction() as connection:
        applied, _ = await find_plan(connection, number)
    return Applied(plan=applied, revision=toggled.revision, gone=toggled.gone)


_KINDS = ("enable", "disable", "upgrade")


def _by_hand(plan: Plan) -> str:
    """Who may toggle may not take data in hand: over the API that is a request, and a permission, of its own."""
    fate = plan.action.data or "keep"
    command = f"pegboard plugins apply {plan.id}{' --export DIR' if fate == 'export' else ''}"
    if fate == "export":
        return f"A plan that exports data is applied where they are written: run `{command}`."
    requests = "; ".join(
        f'POST /api/v1/admin/plugins/{name}/disable, then …/{name}/uninstall with {{"data": "{fate}"}}'
        for name in plan.action.uninstall
    )
    return f"A plan that uninstalls is applied on the command line: run `{command}`. Over the API: {requests}."


async def check_plan(database: Database, config: Config, number: UUID) -> tuple[Plan, Basis]:
    """The plan and its basis, if it can still be applied.

    Raises:
        PlanNotFound, PlanApplied, PlanExpired, PlanStale, PlanRefused: it can't.
    """
    async with database.system_transaction() as connection:
        plan, basis = await find_plan(connection, number)
    refuse_used((plan, basis))
    if fingerprint(plan.action, plan.content, basis) != plan.fingerprint:
        raise PlanStale("The plan's fingerprint does not fit what it says: make a new one.")
    found = await asyncio.to_thread(discover)
    now, _ = await current_basis(database, config, found)
    if changed := changes_since(basis, now):
        raise PlanStale(f"Since the plan was made {'; '.join(changed)}. Make a new one.")
    if plan.content.problems:
        raise PlanRefused(f"The plan can't be applied: {' '.join(plan.content.problems)}")
    if not plan.content.changes:
        raise PlanRefused("The plan changes nothing: there is nothing to apply.")
    return plan, basis


async def _refuse_stale(connection: Any, basis: Basis) -> None:
    now = await revisions.wanted_revision(connection)
    if (None if now is None else now.number) != basis.revision:
        raise PlanStale("The wanted plugins were changed meanwhile: make a new plan.")


class _App(msgspec.Struct, frozen=True):
    name: str
    migrations: str


async def _migrate(database: Database, config: Config, active: list[str], names: list[str], probe: Probe) -> None:
    """Run the migrations of the versions that are installed. The old code goes on beside them."""
    probed = await probe(config, active)
    apps = [
        _App(name, contract.migrations)
        for name in names
        if (contract := probed.contracts.get(name)) is not None and contract.migrations is not None
    ]
    if not apps:
        return
    try:
        report = await migrate(database.urls.owner, apps)
    except (MigrationError, DatabaseSetupError) as error:
        raise PluginUnusable(f"The migrations can't be run: {error}") from error
    if report.failed:
        told = "; ".join(f"{name}: {why}" for name, why in sorted(report.failed.items()))
        raise PluginUnusable(f"A migration failed, and what it began is undone: {told}")
