"""Puts what the plugins bring together."""

from collections.abc import Iterable, Sequence
from typing import Any

from pegboard_sdk.events import EventHandler

from pegboard.capabilities.grants import compile_grants
from pegboard.capabilities.views import offered
from pegboard.plugins.registry import LoadedPlugin, Registry, SkippedPlugin

__all__ = ("compile_registry",)


def compile_registry(plugins: Sequence[LoadedPlugin], skipped: Iterable[SkippedPlugin]) -> Registry:
    """The registry of plugins that were accepted, in loading order.

    Of two implementations of a service the later one wins.
    """
    skipped = tuple(sorted(skipped, key=lambda one: one.name))
    roles: dict[str, set[str]] = {}
    handlers: dict[str, list[EventHandler]] = {}
    extensions: dict[str, list[Any]] = {}
    owners: dict[str, str] = {}
    for plugin in plugins:
        for grant in plugin.roles:
            roles.setdefault(grant.role, set()).update(grant.permissions)
        if plugin.name != "kernel":
            # Who runs a marketplace may do whatever its plugins offer.
            roles.setdefault("administrator", set()).update(permission.name for permission in plugin.permissions)
        for handler in plugin.event_handlers:
            handlers.setdefault(handler.event, []).append(handler)
            owners[f"{handler.event}/{handler.name}"] = plugin.name
        for hook, items in plugin.extensions.items():
            extensions.setdefault(hook, []).extend(offered(item, plugin.name) for item in items)
        owners.update((thing.name, plugin.name) for thing in (*plugin.jobs, *plugin.schedules, *plugin.approval_kinds))
    return Registry(
        plugins=tuple(plugins),
        skipped=skipped,
        permissions={permission.name: permission for plugin in plugins for permission in plugin.permissions},
        role_permissions={role: frozenset(permissions) for role, permissions in roles.items()},
        segregation_rules=tuple(rule for plugin in plugins for rule in plugin.segregation_rules),
        object_rules={rule.object_type: rule for plugin in plugins for rule in plugin.object_rules},
        approval_kinds={kind.name: kind for plugin in plugins for kind in plugin.approval_kinds},
        jobs={job.name: job for plugin in plugins for job in plugin.jobs},
        schedules={schedule.name: schedule for plugin in plugins for schedule in plugin.schedules},
        event_handlers={event: tuple(several) for event, several in handlers.items()},
        services={
            service.protocol: offered(service.implementation, plugin.name, service=service.protocol)
            for plugin in plugins
            for service in plugin.services
        },
        grants=compile_grants(
            {plugin.name: (plugin.manifest, plugin.settings) for plugin in plugins if plugin.name != "kernel"},
            [one.manifest for one in skipped if one.manifest is not None],
        ),
        settings={type(plugin.settings): plugin.settings for plugin in plugins if plugin.settings is not None},
        extensions={hook: tuple(items) for hook, items in extensions.items()},
        owners=owners,
    )
