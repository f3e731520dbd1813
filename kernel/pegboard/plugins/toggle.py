"""Turning a plugin on or off: `plugins.toml` and PostgreSQL are both written, or neither is."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.plugins import revisions
from pegboard.plugins.discovery import Discovery, discover
from pegboard.plugins.errors import PluginDependency, PluginsFileLocked, PluginUnknown, PluginUnusable
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.order import dependency_problem
from pegboard.plugins.plugins_file import file_key, set_enabled
from pegboard.plugins.preparation import reasons
from pegboard.plugins.processes import node_name
from pegboard.plugins.revisions import Origin, Revision
from pegboard.plugins.wanted import enabled_plugins, source_hash, with_plugins

__all__ = ("check_toggle", "refuse_environment", "toggle")

Audit = Callable[[Any, Revision], Awaitable[None]]


async def toggle(
    database: Database,
    config: Config,
    name: str,
    enabled: bool,
    *,
    origin: Origin,
    requested_by: UUID | None = None,
    audit: Audit | None = None,
    environ: Mapping[str, str] | None = None,
) -> Revision:
    """Make the wanted set one with, or without, the plugin; gives the revision that wants it so.

    `config` is the configuration as it is written now. `audit` writes the entry in the same transaction; where the
    plugin is already as it should be, nothing is written but the file, if that said otherwise. Processes take the
    revision up by themselves: it may still fail in one of them, and then nothing changes.

    Raises:
        PluginUnknown: no installed package offers the plugin.
        PluginDependency: it needs others that are off, or others that are on need it.
        PluginUnusable: it can't be loaded.
        PluginsFileLocked, PluginsFileUnwritable: the file doesn't decide, or can't be written.
    """
    refuse_environment(name, environ)
    found = await asyncio.to_thread(discover)
    while True:
        async with database.system_transaction() as connection:
            base = await revisions.wanted_revision(connection)
        plugins = enabled_plugins(config) if base is None else frozenset(base.plugins)
        await asyncio.to_thread(check_toggle, found, config, plugins, name, enabled)
        async with database.system_transaction() as connection:
            await revisions.lock(connection)
            now = await revisions.wanted_revision(connection)
            if now is not None and (base is None or now.number != base.number):
                # Somebody else was faster: judge again.
                continue
            content = await asyncio.to_thread(set_enabled, Path(config.path), name, enabled)
            in_file = enabled_plugins(config)
            source = source_hash(content, in_file | {name} if enabled else in_file - {name})
            await revisions.record_file(connection, node_name(), file_key(Path(config.path)), source)
            if now is not None and (name in plugins) == enabled:
                return now
            wanted = await revisions.propose(
                connection,
                plugins | {name} if enabled else plugins - {name},
                file_hash=source,
                origin=origin,
                requested_by=requested_by,
            )
            if audit is not None:
                await audit(connection, wanted)
        await revisions.notify(database)
        return wanted


def check_toggle(found: Discovery, config: Config, plugins: frozenset[str], name: str, enabled: bool) -> None:
    """Refuse what can't work, before anything is written. It imports the plugin to see: call it in a thread.

    `plugins` are those that are on.

    Raises:
        PluginUnknown, PluginDependency, PluginUnusable: see `toggle`.
    """
    if name not in found.candidates and name not in found.broken and (enabled or name not in plugins):
        raise PluginUnknown(f"No installed package offers a plugin named {name}: install it first.")
    if enabled:
        _check_enabling(found, config, plugins, name)
    else:
        needed_by = sorted(
            other
            for other in plugins - {name}
            if other in found.candidates and name in found.candidates[other].manifest.requires
        )
        if needed_by:
            raise PluginDependency(f"{name} is needed by {', '.join(needed_by)}: disable {_them(needed_by)} first.")


def refuse_environment(name: str, environ: Mapping[str, str] | None = None) -> None:
    """Refuse to write what a variable overrides.

    Raises:
        PluginsFileLocked: the environment decides whether the plugin is on.
    """
    variable = f"PEGBOARD_PLUGINS__{name.upper()}__ENABLED"
    if variable in {key.upper() for key in (os.environ if environ is None else environ)}:
        raise PluginsFileLocked(f"{variable} is set and decides whether {name} is on: change it there, and restart.")


def _check_enabling(found: Discovery, config: Config, plugins: frozenset[str], name: str) -> None:
    if name in found.broken:
        raise PluginUnusable(f"{name} can't be enabled: {found.broken[name]}")
    manifest = found.candidates[name].manifest
    versions = {other: found.candidates[other].manifest.version for other in plugins if other in found.candidates}
    off = sorted(other for other in manifest.requires if other not in versions)
    if off:
        raise PluginDependency(f"{name} needs {', '.join(off)}: enable {_them(off)} first.")
    problem = dependency_problem(manifest, versions, {})
    if problem is not None:
        raise PluginDependency(f"{name} can't be enabled: {problem}")
    try:
        registry = load_plugins(with_plugins(config, plugins | {name}))
    except ConfigError as error:
        raise PluginUnusable("; ".join(str(one) for one in error.all)) from error
    if name in (why := reasons(registry)):
        raise PluginUnusable(f"{name} can't be enabled: {why[name]}")


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
