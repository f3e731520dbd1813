"""What the commands see of plugins, whether or not the platform runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import open_runtime

if TYPE_CHECKING:
    from pegboard.config.model import Config
    from pegboard.plugins.registry import Registry
    from pegboard.plugins.schemas import PluginsOverview
    from pegboard.runtime import Runtime

__all__ = ("mixed_versions", "platform_database", "plugins_overview")


async def plugins_overview(cli: CommandLine) -> "PluginsOverview":
    """All plugins: as the platform's processes run them, or, where none runs, as files and packages would have them."""
    from pegboard.plugins.preparation import load_to_look
    from pegboard.plugins.revisions import wanted_revision
    from pegboard.plugins.service import overview, overview_without_platform
    from pegboard.plugins.wanted import with_plugins

    config: Config = cli.config()
    async with platform_database(cli) as runtime:
        if runtime is None:
            return await overview_without_platform(await _registry(config))
        config = runtime.config
        found = await overview(runtime.database, config, imports=True)
        if found is not None:
            return found
        async with runtime.database.system_transaction() as connection:
            wanted = await wanted_revision(connection)
        if wanted is not None:
            config = with_plugins(config, wanted.plugins)
        return await overview_without_platform(await load_to_look(config, runtime.database))


async def _registry(config: "Config") -> "Registry":
    from pegboard.plugins.manager import load_plugins

    return await asyncio.to_thread(load_plugins, msgspec.structs.replace(config, strict=False))


@contextlib.asynccontextmanager
async def platform_database(cli: CommandLine) -> "AsyncIterator[Runtime | None]":
    """The platform's database, or None where there is none (yet): then `plugins.toml` is all there is."""
    from pegboard.supervisor.runfile import attach

    if not attach(cli.config()).database.url:
        yield None
        return
    async with open_runtime(cli) as runtime:
        migrated = await runtime.database.system.fetchval("SELECT to_regclass('kernel_plugin_revisions') IS NOT NULL")
        yield runtime if migrated else None


def mixed_versions(found: "PluginsOverview") -> list[str]:
    """Which plugins run in several versions, a sentence each."""
    by_plugin: dict[str, dict[str, list[str]]] = {}
    for process in found.processes:
        for name, version in process.versions.items():
            who = f"{process.kind} {process.pid} on {process.node}"
            by_plugin.setdefault(name, {}).setdefault(version, []).append(who)
    told: list[str] = []
    for name, versions in sorted(by_plugin.items()):
        if len(versions) > 1:
            where = "; ".join(f"{version} in {', '.join(who)}" for version, who in sorted(versions.items()))
            told.append(f"{name} runs in several versions, until all are restarted: {where}")
    return told
