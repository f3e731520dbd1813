"""What the administration does with plugins."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from pegboard_sdk.manifest import Manifest

from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.plugins import processes, revisions
from pegboard.plugins.discovery import Discovery, discover
from pegboard.plugins.outlook import applied_upgrades, outlook
from pegboard.plugins.planning.contract import Contract, contract_of, recorded_contracts
from pegboard.plugins.planning.facts import running_versions
from pegboard.plugins.processes import Process
from pegboard.plugins.registry import EMPTY, Registry, SkippedPlugin
from pegboard.plugins.revisions import Revision
from pegboard.plugins.routes import RouteView
from pegboard.plugins.schemas import PluginsOverview, PluginView, ProcessView, RevisionView
from pegboard.plugins.wanted import with_plugins

__all__ = ("overview", "overview_without_platform", "plugin_views", "revision_view")

_NO_MANIFEST = Manifest(name="", summary="", version="", sdk="")


async def overview(
    database: Database, config: Config, *, registry: Registry = EMPTY, imports: bool = False
) -> PluginsOverview | None:
    """Everything about plugins, as the live processes run them; None where none does.

    `config` is the configuration as it is written now, `registry` what this process runs; `imports`: see `outlook`.
    """
    async with database.system_transaction() as connection:
        live = await processes.live_processes(connection)
        active = await revisions.active_revision(connection)
        latest = await revisions.latest_revision(connection)
        wanted = await revisions.wanted_revision(connection) or active
        contracts = await recorded_contracts(connection, await running_versions(connection))
        applied = await applied_upgrades(connection)
    running = [one for one in live if one.active_revision is not None]
    if not running or active is None or wanted is None:
        return None
    found = await asyncio.to_thread(discover)
    run_names = {name for one in running for name in one.versions}
    versions = {name: {one.versions[name] for one in running if name in one.versions} for name in run_names}
    load_ms = {plugin.name: plugin.load_ms for plugin in registry.plugins}
    left_out = {name: out.reason for one in running for name, out in one.left_out.items()}
    told = await asyncio.to_thread(
        outlook, with_plugins(config, wanted.plugins), found, versions, left_out, applied, imports=imports
    )
    names = {*found.candidates, *found.broken, *config.plugins, *wanted.plugins, *run_names, *left_out}
    return PluginsOverview(
        source="processes",
        plugins=[
            msgspec.structs.replace(
                _reported(name, running, wanted.plugins, config, found, contracts.get(name), told.get(name)),
                load_ms=load_ms.get(name),
            )
            for name in sorted(names)
        ],
        active=revision_view(active),
        latest=revision_view(latest) if latest is not None and latest != active else None,
        processes=[msgspec.convert(msgspec.structs.asdict(one), ProcessView) for one in live],
    )


async def overview_without_platform(registry: Registry) -> PluginsOverview:
    """What a start would make of files and packages; `registry` is what was loaded to look."""
    found = await asyncio.to_thread(discover)
    return PluginsOverview(
        source="files", plugins=plugin_views(registry, found), active=None, latest=None, processes=[]
    )


def plugin_views(registry: Registry, found: Discovery) -> list[PluginView]:
    """The plugins that a registry was made of by name, without the kernel's own part."""
    views = [_view_of(contract_of(plugin)) for plugin in registry.plugins if plugin.name != "kernel"]
    views += [_skipped(plugin, found) for plugin in registry.skipped]
    return sorted(views, key=lambda view: view.name)


def revision_view(revision: Revision) -> RevisionView:
    """A revision, as the administrator sees it."""
    return msgspec.convert(msgspec.structs.asdict(revision), RevisionView)


def _reported(
    name: str,
    running: Iterable[Process],
    wanted: Iterable[str],
    config: Config,
    found: Discovery,
    contract: Contract | None,
    told: str | None,
) -> PluginView:
    """A plugin, from what the processes say of it."""
    where = [one for one in running if name in one.versions]
    without = [one for one in running if name in one.left_out]
    if where and not without:
        # A release before this one recorded none.
        return _view_of(contract or Contract(name=name, version=where[0].versions[name], distribution=""), told)
    if without:
        out = without[0].left_out[name]
        who = ", ".join(f"{one.kind} {one.pid} on {one.node}" for one in without)
        state, reason = out.state, f"in {who}, and not elsewhere: {out.reason}" if where else out.reason
    elif name in wanted:
        state, reason = "disabled", "it is being turned on"
    else:
        state, reason = "disabled", _why_off(name, config, found)
    return _off(name, state, reason, found, told)


def _why_off(name: str, config: Config, found: Discovery) -> str:
    how = "it is turned off" if name in config.plugins else "it is installed and nobody turned it on"
    return f"{how}; {found.broken[name]}" if name in found.broken else how


def _skipped(plugin: SkippedPlugin, found: Discovery) -> PluginView:
    return _off(plugin.name, plugin.state, plugin.reason, found)


def _off(name: str, state: Any, reason: str, found: Discovery, following: str | None = None) -> PluginView:
    candidate = found.candidates.get(name)
    if candidate is None and name not in found.broken:
        if state == "disabled":
            reason = "no installed package offers it, and it is off: install it, or remove it from plugins.toml"
        state, following = "not_installed", None
    manifest = _NO_MANIFEST if candidate is None else candidate.manifest
    return PluginView(
        name=name,
        state=state,
        reason=reason,
        next=following,
        summary=manifest.summary,
        version=manifest.version,
        sdk=manifest.sdk,
        distribution="" if candidate is None else candidate.distribution,
        requires=manifest.requires,
        after=manifest.after,
        permissions=manifest.permissions,
        events=manifest.events,
        capabilities=manifest.capabilities,
        routes=[],
        jobs=[],
        schedules=[],
        listens_to=[],
        services=[],
        extends=[],
        load_ms=None,
    )


def _view_of(contract: Contract, following: str | None = None) -> PluginView:
    return PluginView(
        name=contract.name,
        state="enabled",
        reason=None,
        next=following,
        summary=contract.summary,
        version=contract.version,
        sdk=contract.sdk,
        distribution=contract.distribution,
        requires=contract.requires,
        after=contract.after,
        permissions=contract.permissions,
        events=contract.events,
        capabilities=contract.capabilities,
        routes=[
            RouteView(
                method=one.method,
                path=one.path,
                permission=one.permission,
                operation=one.operation.removeprefix(f"{contract.name}_"),
            )
            for one in contract.operations
        ],
        jobs=contract.jobs,
        schedules=sorted(contract.schedules),
        listens_to=contract.listens_to,
        services=contract.services,
        extends=sorted(contract.extends),
        load_ms=None,
    )
