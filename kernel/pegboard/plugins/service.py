"""What the administration does with plugins."""

from typing import Any

import msgspec
from pegboard_sdk.manifest import Manifest

from pegboard.plugins import processes, revisions
from pegboard.plugins.registry import LoadedPlugin, Registry, SkippedPlugin
from pegboard.plugins.revisions import Revision
from pegboard.plugins.routes import routes_of
from pegboard.plugins.schemas import PluginsOverview, PluginView, ProcessView, RevisionView

__all__ = ("overview", "plugin_views", "revision_view")

_NO_MANIFEST = Manifest(name="", summary="", version="", sdk="")


async def overview(connection: Any, registry: Registry) -> PluginsOverview:
    """Everything about plugins; `connection` is the system role's, `registry` what this process runs."""
    active = await revisions.active_revision(connection)
    latest = await revisions.latest_revision(connection)
    live = await processes.live_processes(connection)
    return PluginsOverview(
        plugins=plugin_views(registry),
        active=revision_view(active) if active is not None else None,
        latest=revision_view(latest) if latest is not None and latest != active else None,
        processes=[msgspec.convert(msgspec.structs.asdict(one), ProcessView) for one in live],
    )


def plugin_views(registry: Registry) -> list[PluginView]:
    """The plugins of a registry by name, without the kernel's own part."""
    views = [_loaded(plugin) for plugin in registry.plugins if plugin.name != "kernel"]
    views += [_skipped(plugin) for plugin in registry.skipped]
    return sorted(views, key=lambda view: view.name)


def revision_view(revision: Revision) -> RevisionView:
    """A revision, as the administrator sees it."""
    return msgspec.convert(msgspec.structs.asdict(revision), RevisionView)


def _loaded(plugin: LoadedPlugin) -> PluginView:
    return _view(
        plugin.manifest,
        name=plugin.name,
        state="enabled",
        reason=None,
        distribution=plugin.distribution,
        routes=routes_of(f"/api/v1/{plugin.name}", plugin.controllers),
        jobs=sorted(job.name for job in plugin.jobs),
        schedules=sorted(schedule.name for schedule in plugin.schedules),
        listens_to=sorted({handler.event for handler in plugin.event_handlers}),
        services=sorted(service.protocol.__name__ for service in plugin.services),
        extends=sorted(plugin.extensions),
        load_ms=plugin.load_ms,
    )


def _skipped(plugin: SkippedPlugin) -> PluginView:
    return _view(
        plugin.manifest or _NO_MANIFEST,
        name=plugin.name,
        state=plugin.state,
        reason=plugin.reason,
        distribution=plugin.distribution,
        routes=[],
        jobs=[],
        schedules=[],
        listens_to=[],
        services=[],
        extends=[],
        load_ms=0.0,
    )


def _view(manifest: Manifest, **fields: Any) -> PluginView:
    return PluginView(
        summary=manifest.summary,
        version=manifest.version,
        sdk=manifest.sdk,
        requires=manifest.requires,
        after=manifest.after,
        permissions=manifest.permissions,
        events=manifest.events,
        capabilities=manifest.capabilities,
        **fields,
    )
