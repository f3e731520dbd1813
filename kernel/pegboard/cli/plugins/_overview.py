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
    """All plugins: as the database wants them, or, without one, as `plugins.toml` does."""
    from pegboard.plugins.preparation import load_to_look
    from pegboard.plugins.revisions import wanted_revision
    from pegboard.plugins.schemas import PluginsOverview
    from pegboard.plugins.service import overview, plugin_views
    from pegboard.plugins.wanted import with_plugins

    config: Config = cli.config()
    async with platform_database(cli) as runtime:
        if runtime is None:
            views = plugin_views(await _registry(config))
            return PluginsOverview(plugins=views, active=None, latest=None, processes=[])
        config = runtime.config
        async with runtime.database.system_transaction() as connection:
            wanted = await wanted_revision(connection)
            if wanted is not None:
                config = with_plugins(config, wanted.plugins)
            return await overview(connection, await load_to_look(config, runtime.database))


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
    """Which processes run another version of a plugin than is installed, a sentence for each such version."""
    installed = {plugin.name: plugin.version for plugin in found.plugins}
    others: dict[tuple[str, str], list[str]] = {}
    for process in found.processes:
        for name, version in process.versions.items():
            if version != installed.get(name, version):
                others.setdefault((name, version), []).append(f"{process.kind} {process.pid} on {process.node}")
    return [
        f"{name} {installed[name]} is installed, and these still run {version}: {', '.join(who)}."
        " Restart the processes one after the other"
        for (name, version), who in sorted(others.items())
    ]
