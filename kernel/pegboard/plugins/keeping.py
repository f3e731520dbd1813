"""Plugins whose package was replaced while a process runs them: they go on with the code that it imported.

What is installed now can't be imported into that process any more, so nothing of it counts there until it is
restarted: neither the new manifest nor settings that were written for the new version.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.plugins.discovery import Candidate, Discovery
from pegboard.plugins.registry import LoadedPlugin, Registry

__all__ = ("going_on", "with_kept")


def going_on(running: Registry) -> dict[str, LoadedPlugin]:
    """The plugins that a process runs, by name, without the kernel's own part."""
    return {plugin.name: plugin for plugin in running.plugins if plugin.name != "kernel"}


def with_kept(found: Discovery, running: Mapping[str, LoadedPlugin]) -> tuple[Discovery, dict[str, LoadedPlugin]]:
    """What is installed, but for plugins of `running` of which another version is: those as they run. And these."""
    kept = {name: plugin for name, plugin in running.items() if plugin.module and _is_replaced(found, plugin)}
    candidates = {name: _as_it_runs(plugin, found.candidates.get(name)) for name, plugin in kept.items()}
    return (
        msgspec.structs.replace(
            found,
            candidates=dict(sorted({**found.candidates, **candidates}.items())),
            broken={name: reason for name, reason in found.broken.items() if name not in kept},
        ),
        kept,
    )


def _is_replaced(found: Discovery, plugin: LoadedPlugin) -> bool:
    installed = found.candidates.get(plugin.name)
    return installed is None or installed.manifest.version != plugin.manifest.version


def _as_it_runs(plugin: LoadedPlugin, installed: Candidate | None) -> Candidate:
    return Candidate(
        name=plugin.name,
        module=plugin.module,
        distribution=plugin.distribution,
        manifest=plugin.manifest,
        path=Path(plugin.folder) / MANIFEST_NAME,
        installed=None if installed is None else installed.installed,
    )
