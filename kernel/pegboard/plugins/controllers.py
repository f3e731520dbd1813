"""The administration of plugins over HTTP. Only the platform's operator may use it: plugins are for all tenants."""

import asyncio
from typing import Annotated
from uuid import UUID

from pegboard_sdk.http import Controller, QueryParameter, get, post

from pegboard.config.model import Config
from pegboard.plugins.administration import apply_as, change_plugins
from pegboard.plugins.errors import (
    PlanApplied,
    PlanExpired,
    PlanNotFound,
    PlanRefused,
    PlanStale,
    PluginBlocked,
    PluginDependency,
    PluginsFileLocked,
    PluginsFileUnwritable,
    PluginUnknown,
    PluginUnusable,
)
from pegboard.plugins.parameters import PluginName
from pegboard.plugins.permissions import READ, TOGGLE
from pegboard.plugins.planning.action import Action
from pegboard.plugins.planning.content import Plan
from pegboard.plugins.planning.make import current_config, make_plan
from pegboard.plugins.planning.probe import probe_apart
from pegboard.plugins.planning.store import find_plan
from pegboard.plugins.schemas import PlanApplication, PlanRequest, PluginChange, PluginsOverview
from pegboard.plugins.service import overview, overview_without_platform, revision_view
from pegboard.plugins.toggle import Switches
from pegboard.work import ReadWork, SteppedWork

__all__ = ("CONTROLLERS", "PluginController")

PLANNING = 90.0
"""Seconds: other plugins' code is imported in a process of its own."""
MIGRATING = 660.0
"""Seconds: a migration's statement may take ten minutes."""

Cascade = Annotated[
    bool, QueryParameter(name="cascade", description="Turn on, too, what it needs, or off, what needs it.")
]
_ERRORS = (PluginUnknown, PluginDependency, PluginUnusable, PluginBlocked, PluginsFileLocked, PluginsFileUnwritable)


class PluginController(Controller):
    """Plugins: which there are, and which are on."""

    path = "/admin/plugins"

    @get(permission=READ)
    async def list_plugins(self, uow: ReadWork) -> PluginsOverview:
        """List all plugins with their state in the processes, and how far these are with the wanted ones."""
        runtime = uow.runtime
        try:
            config = await asyncio.to_thread(current_config, runtime.config)
        except PluginsFileUnwritable:
            # The processes report the mistake themselves, and go on with what they read last.
            config = runtime.config
        found = await overview(runtime.database, config, registry=uow.registry)
        # An outage may have silenced all processes, this one too: then it says what it knows.
        return found or await overview_without_platform(uow.registry)

    @post("/{name:str}/enable", permission=TOGGLE, external=True, status=202, timeout=PLANNING, errors=_ERRORS)
    async def enable_plugin(self, name: PluginName, uow: SteppedWork, cascade: Cascade = False) -> PluginChange:
        """Turn a plugin on: its migrations run, each process prepares it, then all swap to it."""
        return await _toggle(uow, name, enabled=True, cascade=cascade)

    @post("/{name:str}/disable", permission=TOGGLE, external=True, status=202, errors=_ERRORS)
    async def disable_plugin(self, name: PluginName, uow: SteppedWork, cascade: Cascade = False) -> PluginChange:
        """Turn a plugin off: its routes go, its jobs wait, its data stays."""
        return await _toggle(uow, name, enabled=False, cascade=cascade)

    @post("/plans", permission=TOGGLE, external=True, timeout=PLANNING, errors=(PlanRefused, *_ERRORS))
    async def create_plan(self, data: PlanRequest, uow: SteppedWork) -> Plan:
        """Show what a change of plugins would do, before anything changes. The plan can be applied for a day."""
        config = await _current(uow)
        action = Action(
            on=data.enable,
            off=data.disable,
            upgrade=data.upgrade,
            uninstall=data.uninstall,
            data=data.data if data.uninstall else None,
            cascade=data.cascade,
        )
        return await make_plan(
            uow.runtime.database, config, action, probe=probe_apart, created_by=uow.principal.account_id
        )

    @get("/plans/{plan_id:uuid}", permission=READ, errors=(PlanNotFound,))
    async def read_plan(self, plan_id: UUID, uow: ReadWork) -> Plan:
        """One plan, and whether it was applied."""
        async with uow.runtime.database.system_transaction() as connection:
            plan, _ = await find_plan(connection, plan_id)
        return plan

    @post(
        "/plans/{plan_id:uuid}/apply",
        permission=TOGGLE,
        external=True,
        status=202,
        timeout=MIGRATING,
        errors=(PlanNotFound, PlanStale, PlanExpired, PlanApplied, PlanRefused, *_ERRORS),
    )
    async def apply_plan(self, plan_id: UUID, uow: SteppedWork) -> PlanApplication:
        """Do what a plan says, if nothing that it was judged on has changed since: migrations run, the processes swap.

        An upgrade's new code runs once the processes were restarted.
        """
        config = await _current(uow)
        applied = await apply_as(
            uow.runtime,
            config,
            uow.principal,
            plan_id,
            probe=probe_apart,
            origin="api",
            request_id=uow.request_id,
        )
        revision = None if applied.revision is None else revision_view(applied.revision)
        return PlanApplication(plan=applied.plan, revision=revision)


async def _toggle(uow: SteppedWork, name: str, *, enabled: bool, cascade: bool) -> PluginChange:
    config = await _current(uow)
    one = frozenset({name})
    asked = Switches(on=one) if enabled else Switches(off=one)
    toggled = await change_plugins(
        uow.runtime,
        config,
        uow.principal,
        asked,
        probe=probe_apart,
        cascade=cascade,
        origin="api",
        request_id=uow.request_id,
    )
    return PluginChange(
        plugin=name,
        enabled=enabled,
        also=toggled.changed.beside(asked),
        revision=revision_view(toggled.revision),
    )


async def _current(uow: SteppedWork) -> Config:
    """The configuration as it is written now, for somebody whose session has not been ended."""
    async with uow.step():
        # Its first statement checks that; the rest is the system role's business.
        pass
    return await asyncio.to_thread(current_config, uow.runtime.config)


CONTROLLERS = (PluginController,)
