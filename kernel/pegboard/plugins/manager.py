"""Loads the plugins that the configuration wants: discover, order, import, call hooks, judge, compile.

A plugin's failure stays its own: whatever it does wrong, it is left out with a reason, and so is what requires it.
"""

import importlib
import importlib.metadata
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import msgspec
import pegboard_sdk

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.plugins.blocking import blocked_plugins
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.discovery import Candidate, Discovery, discover
from pegboard.plugins.failure import Cause
from pegboard.plugins.hooks import (
    CLASSES,
    ITEMS,
    SINGLES,
    Context,
    HookError,
    Hooks,
    describe,
    interruptions,
    raised_at,
)
from pegboard.plugins.keeping import with_kept
from pegboard.plugins.order import dependency_problem, resolve
from pegboard.plugins.registry import LoadedPlugin, Registry, SkippedPlugin
from pegboard.plugins.rules import Known, problems
from pegboard.plugins.settings import SettingsError, plugin_settings
from pegboard.plugins.start_marks import StartMarks

__all__ = ("is_built_in", "load_plugins")

_IMPORTED_VERSION = "__pegboard_plugin_version__"
_SHOWN_PROBLEMS = 3


class _SkipError(Exception):
    """The plugin is left out; the text says why. `cause` is set where that is the doing of its code."""

    def __init__(self, reason: str, cause: Cause | None = None) -> None:
        super().__init__(reason)
        self.cause: Cause | None = cause


def load_plugins(
    config: Config,
    *,
    distributions: Iterable[importlib.metadata.Distribution] | None = None,
    failed: Mapping[str, str] | None = None,
    quarantined: Mapping[str, str] | None = None,
    marks: StartMarks | None = None,
    turn: Callable[[str | None], None] | None = None,
    running: Mapping[str, LoadedPlugin] | None = None,
) -> Registry:
    """The registry of the plugins that `config` turns on. It imports their code and may run in any thread.

    `distributions` are searched instead of `sys.path`; `failed` and `quarantined` leave plugins out for reasons found
    elsewhere (name → reason), without importing them. `marks` notes which third-party code runs, for the case that
    the process doesn't survive it. `turn` is called with each plugin whose code is about to run, and with
    None after the last. `running` are the plugins that this process runs: those of which another version is installed
    by now go on as they are.

    Raises:
        ConfigError: `config.strict` is set and a plugin that is turned on can't be loaded; `others` holds the rest.
    """
    # The kernel's own routes lead back here: they load plugins too.
    from pegboard.plugins.kernel_part import kernel_plugin

    found, kept = with_kept(discover(distributions), running or {})
    blocked = blocked_plugins(config, found.candidates)
    held_back = _held_back(config, found)
    states = {
        **dict.fromkeys(quarantined or {}, "quarantined"),
        **dict.fromkeys(blocked, "blocked"),
        **dict.fromkeys(held_back, "held_back"),
    }
    off = _unavailable(config, found, {**(failed or {}), **(quarantined or {}), **blocked, **held_back})
    causes: dict[str, Cause] = {}
    wanted = {name: candidate.manifest for name, candidate in found.candidates.items() if name not in off}
    order = resolve(wanted, off, sdk_version=pegboard_sdk.__version__)
    off |= order.skipped

    hooks = Hooks()
    known = Known(wanted)
    plugins = [kernel_plugin()]
    known.add(plugins[0])
    for name in order.names:
        candidate = found.candidates[name]
        try:
            reason = dependency_problem(candidate.manifest, {one.name: one.manifest.version for one in plugins}, off)
            if reason is not None:
                raise _SkipError(reason)
            if turn is not None:
                turn(name)
            plugin = _load(
                candidate,
                config,
                hooks,
                known,
                None if is_built_in(candidate.distribution) else marks,
                kept=kept.get(name),
            )
        except _SkipError as error:
            off[name] = str(error)
            if error.cause is not None:
                causes[name] = error.cause
        else:
            plugins.append(plugin)
            known.add(plugin)

    if turn is not None:
        turn(None)
    skipped = [_skipped(name, reason, config, found, states, causes.get(name)) for name, reason in off.items()]
    if config.strict:
        _refuse([one for one in skipped if one.state in ("failed", "blocked", "quarantined")], config)
    return compile_registry(plugins, skipped)


def is_built_in(distribution: str) -> bool:
    """Whether a plugin of the distribution (name and version) comes with Pegboard itself."""
    return distribution.partition(" ")[0] == "pegboard"


def _held_back(config: Config, found: Discovery) -> dict[str, str]:
    """Third parties' plugins that safe mode leaves out."""
    if not config.safe_mode:
        return {}
    reason = "safe mode is on, in which only the plugins that come with Pegboard run: start without it to have this one"
    return {
        name: reason
        for name in found.candidates.keys() | found.broken.keys()
        if name not in found.candidates or not is_built_in(found.candidates[name].distribution)
    }


def _unavailable(config: Config, found: Discovery, failed: Mapping[str, str]) -> dict[str, str]:
    """Plugins that are not to be loaded, with reasons."""
    installed = found.candidates.keys() | found.broken.keys()
    reasons: dict[str, str] = {}
    for name in installed | config.plugins.keys():
        entry = config.plugins.get(name)
        if entry is None or not entry.enabled:
            how = "it is installed and nobody turned it on" if entry is None else "it is turned off"
            reasons[name] = f"{how}; {found.broken[name]}" if name in found.broken else how
        elif name not in installed:
            near = get_close_matches(name, sorted(installed), n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            reasons[name] = f"no installed package offers it{hint}: install it, or remove it from plugins.toml"
        elif name in failed:
            reasons[name] = failed[name]
        elif name in found.broken:
            reasons[name] = found.broken[name]
    return reasons


def _load(
    candidate: Candidate,
    config: Config,
    hooks: Hooks,
    known: Known,
    marks: StartMarks | None,
    *,
    kept: LoadedPlugin | None,
) -> LoadedPlugin:
    began = time.perf_counter()
    with _marked(marks, candidate, "import"):
        module = _import(candidate)
    settings = _settings(candidate, config) if kept is None else kept.settings
    try:
        with _marked(marks, candidate, "hook"):
            hooks.register(candidate.name, module)
            brought = hooks.call(module, Context(candidate.name, settings))
    except HookError as error:
        hooks.forget(module)
        place = "" if error.__cause__ is None else raised_at(error.__cause__, candidate.path.parent)
        raise _SkipError(f"{error}{place}", "hook") from error
    plugin = _plugin(candidate, settings, brought, began)
    wrong = _problems(plugin, known)
    if wrong:
        hooks.forget(module)
        more = f" (and {len(wrong) - _SHOWN_PROBLEMS} more)" if len(wrong) > _SHOWN_PROBLEMS else ""
        raise _SkipError("; ".join(wrong[:_SHOWN_PROBLEMS]) + more)
    return plugin


def _marked(marks: StartMarks | None, candidate: Candidate, cause: Cause) -> AbstractContextManager[None]:
    return nullcontext() if marks is None else marks.during(candidate.name, candidate.manifest.version, cause)


def _problems(plugin: LoadedPlugin, known: Known) -> list[str]:
    """What is wrong with what the plugin brings. Nothing checked the values in it yet: a name may be a number."""
    try:
        return list(problems(plugin, known))
    except Exception as error:  # noqa: BLE001  # whatever odd value it stumbled over is the plugin's
        return [f"what it brings can't be judged: {describe(error)}"]


def _import(candidate: Candidate) -> ModuleType:
    """Import the plugin's module under guard.

    A failed import leaves nothing behind, so that a mended plugin can be tried again.
    """
    before = set(sys.modules)
    try:
        module = importlib.import_module(candidate.module)
    except (Exception, SystemExit, *interruptions()) as error:
        for name in set(sys.modules) - before:
            if name == candidate.package or name.startswith(f"{candidate.package}."):
                del sys.modules[name]
        raise _SkipError(
            f"importing {candidate.module} raised {describe(error)}{raised_at(error, candidate.path.parent)}", "import"
        ) from error
    imported = vars(module).setdefault(_IMPORTED_VERSION, candidate.manifest.version)
    if imported != candidate.manifest.version:
        raise _SkipError(
            f"version {candidate.manifest.version} is installed and this process still runs the code of {imported}: "
            "restart the platform's processes one after the other"
        )
    return module


def _settings(candidate: Candidate, config: Config) -> msgspec.Struct | None:
    try:
        return plugin_settings(candidate, config)
    except SettingsError as error:
        raise _SkipError(f"its settings {error}") from error
    except ConfigError as error:
        raise _SkipError(f"its settings are wrong: {'; '.join(str(one) for one in error.all)}") from error


def _plugin(
    candidate: Candidate, settings: msgspec.Struct | None, brought: Mapping[str, Any], began: float
) -> LoadedPlugin:
    kernels = {*CLASSES, *ITEMS, *SINGLES}
    return LoadedPlugin(
        name=candidate.name,
        manifest=candidate.manifest,
        distribution=candidate.distribution,
        folder=str(candidate.path.parent),
        module=candidate.module,
        settings=settings,
        app=brought.get("piccolo_app"),
        commands=brought.get("cli_commands", ()),
        extensions={hook: items for hook, items in brought.items() if hook not in kernels},
        load_ms=round((time.perf_counter() - began) * 1000, 1),
        **{
            hook: items
            for hook, items in brought.items()
            if hook in kernels and hook not in ("piccolo_app", "cli_commands")
        },
    )


def _skipped(
    name: str,
    reason: str,
    config: Config,
    found: Discovery,
    states: Mapping[str, str],
    cause: Cause | None,
) -> SkippedPlugin:
    entry = config.plugins.get(name)
    candidate = found.candidates.get(name)
    manifest = candidate.manifest if candidate is not None else None
    return SkippedPlugin(
        name=name,
        state="disabled" if entry is None or not entry.enabled else states.get(name, "failed"),
        reason=reason,
        cause=cause,
        summary=manifest.summary if manifest is not None else "",
        version=manifest.version if manifest is not None else "",
        distribution=candidate.distribution if candidate is not None else "",
        manifest=manifest,
    )


def _refuse(failed: list[SkippedPlugin], config: Config) -> None:
    errors = [
        ConfigError(f"can't be loaded, and strict = true: {one.reason}", file=config.path, key=f"plugins.{one.name}")
        for one in sorted(failed, key=lambda one: one.name)
    ]
    if errors:
        first, *others = errors
        raise ConfigError(first.reason, file=first.file, key=first.key, others=others)
