"""A plugin is uninstalled only when nothing runs that needs it."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from pegboard_sdk.manifest import Manifest

from pegboard.config.model import Config
from pegboard.plugins import revisions
from pegboard.plugins.discovery import discover
from pegboard.plugins.removal.errors import PluginStillOn
from pegboard.plugins.wanted import enabled_plugins

__all__ = ("refuse_while_on",)

_ON = "SELECT DISTINCT unnest(plugins) FROM kernel_plugin_revisions WHERE state IN ('active', 'preparing')"

# A process that has not swapped yet still answers requests and runs jobs with the plugin.
_RUNNING = """
SELECT count(*) FROM kernel_live_processes p JOIN kernel_plugin_revisions r ON r.number = p.active_revision
WHERE $1 = ANY (r.plugins)
"""

# A generation that was left finishes its jobs; one that has not been heard of for a minute is nobody's any more.
_JOBS = """
SELECT count(*) FROM kernel_jobs
WHERE plugin = $1 AND state = 'running' AND heartbeat_at > now() - interval '1 minute'
"""


async def refuse_while_on(connection: Any, config: Config, plugin: str) -> None:
    """Refuse while the plugin or a dependent is on, wanted or still running; keeps it so until the transaction ends.

    `config` is the configuration as it is written now.

    Raises:
        PluginStillOn: it names what is on, and the commands that turn it off.
    """
    manifests = {name: one.manifest for name, one in (await asyncio.to_thread(discover)).candidates.items()}
    await revisions.lock(connection)
    # Where the file and the revision differ, the next change of the file may turn the plugin on: both must say off.
    on = {row[0] for row in await connection.fetch(_ON)} | enabled_plugins(config)
    dependents = sorted(_dependents(plugin, on, manifests))
    if plugin in on or dependents:
        off_first = [*dependents, *([plugin] if plugin in on else [])]
        told = [f"{name} needs {plugin} and is on" for name in dependents]
        told += [f"{plugin} is on"] if plugin in on else []
        commands = " && ".join(f"pegboard plugins disable {name}" for name in off_first)
        raise PluginStillOn(f"{'; '.join(told)}. Turn off first what is to go: {commands}")
    if processes := await connection.fetchval(_RUNNING, plugin):
        raise PluginStillOn(f"{processes} processes still run {plugin}: try again in a moment.")
    if jobs := await connection.fetchval(_JOBS, plugin):
        raise PluginStillOn(f"{jobs} jobs of {plugin} are still running: try again once they are done.")


def _dependents(plugin: str, on: Collection[str], manifests: Mapping[str, Manifest]) -> set[str]:
    """Who needs the plugin, and who needs those, of the plugins that are on."""
    found: set[str] = set()
    grown = True
    while grown:
        needed = found | {plugin}
        more = {name for name in on if name in manifests and needed & manifests[name].requires.keys()} - needed
        found |= more
        grown = bool(more)
    return found
