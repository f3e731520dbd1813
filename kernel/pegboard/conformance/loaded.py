"""A plugin as the kernel loads it: imported, its hooks called, and what they returned."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pegboard_sdk

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config, PluginEntry
from pegboard.conformance.place import raised_in
from pegboard.conformance.project import Project
from pegboard.plugins.discovery import Candidate, Discovery, discover
from pegboard.plugins.hooks import CLASSES, ITEMS, SINGLES, Context, HookError, Hooks, describe
from pegboard.plugins.order import resolve
from pegboard.plugins.registry import LoadedPlugin
from pegboard.plugins.rules import Known, problems
from pegboard.plugins.settings import SettingsError, plugin_settings

__all__ = ("LoadError", "Loaded", "companions", "load")


class LoadError(Exception):
    """The plugin can't be loaded; the text says why."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The plugin of a project, loaded. `problems` is why the kernel would refuse it all the same."""

    project: Project
    plugin: LoadedPlugin
    problems: Sequence[str]


def load(project: Project, settings: Mapping[str, Any]) -> Loaded:
    """Import the plugin and what it requires, and call its hooks. `settings` are the plugin's own.

    Raises:
        LoadError: something of that failed.
    """
    # The kernel's own routes lead to most of the kernel.
    from pegboard.plugins.kernel_part import kernel_plugin

    found = discover()
    if project.name in found.broken:
        raise LoadError(found.broken[project.name])
    names = companions(found, project.name)
    entries = {name: PluginEntry(name=name, enabled=True) for name in names}
    entries[project.name] = PluginEntry(name=project.name, enabled=True, settings=dict(settings))
    config = Config(plugins=entries)
    wanted = {name: found.candidates[name].manifest for name in names}
    order = resolve(wanted, {}, sdk_version=pegboard_sdk.__version__)
    if project.name in order.skipped:
        raise LoadError(order.skipped[project.name])

    hooks, known = Hooks(), Known(wanted)
    known.add(kernel_plugin())
    for name in order.names[: order.names.index(project.name)]:
        known.add(_bring(found.candidates[name], config, hooks))
    plugin = _bring(found.candidates[project.name], config, hooks)
    try:
        wrong = list(problems(plugin, known))
    except Exception as error:  # noqa: BLE001  # whatever odd value it stumbled over is the plugin's
        wrong = [f"what it brings can't be judged: {describe(error)}"]
    return Loaded(project=project, plugin=plugin, problems=wrong)


def companions(found: Discovery, name: str) -> set[str]:
    """The plugin and those that it requires, and they require, as far as they are installed."""
    names: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in found.candidates and one not in names:
            names.add(one)
            waiting += found.candidates[one].manifest.requires
    return names


def _bring(candidate: Candidate, config: Config, hooks: Hooks) -> LoadedPlugin:
    try:
        module = importlib.import_module(candidate.module)
    except (Exception, SystemExit) as error:
        place = raised_in(error, candidate.path.parent)
        raise LoadError(
            f"importing {candidate.module} raised {describe(error)}" + (f" ({place})" if place else "")
        ) from error
    try:
        settings = plugin_settings(candidate, config)
        hooks.register(candidate.name, module)
        brought = hooks.call(module, Context(candidate.name, settings))
    except SettingsError as error:
        raise LoadError(f"its settings {error}") from error
    except ConfigError as error:
        reasons = "; ".join(str(one) for one in error.all)
        raise LoadError(
            f"its settings are wrong: {reasons}; [tool.pegboard.check.settings] of pyproject.toml may give"
            " those that it needs to be checked"
        ) from error
    except HookError as error:
        raise LoadError(str(error)) from error
    kernels = {*CLASSES, *ITEMS, *SINGLES}
    renamed = {"piccolo_app": "app", "cli_commands": "commands"}
    return LoadedPlugin(
        name=candidate.name,
        manifest=candidate.manifest,
        distribution=candidate.distribution,
        settings=settings,
        extensions={hook: items for hook, items in brought.items() if hook not in kernels},
        **{renamed.get(hook, hook): items for hook, items in brought.items() if hook in kernels},
    )
