"""A plugin is uninstalled only when nothing runs that needs it."""

import asyncio
from typing import Any

from pegboard.config.model import Config
from pegboard.plugins import revisions
from pegboard.plugins.cascade import which_need
from pegboard.plugins.discovery import discover
from pegboard.plugins.removal.errors import PluginStillOn
from pegboard.plugins.wanted import enabled_plugins
from pegboard.wording import counted

__all__ = ("refuse_while_jobs_run", "refuse_while_on")

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


# Of revisions that failed the processes may have tried the plugin's code and run its migrations.
_SINCE = "SELECT EXISTS (SELECT FROM kernel_plugin_revisions WHERE number > $1 AND $2 = ANY (plugins))"


async def refuse_while_on(connection: Any, config: Config, plugin: str, *, since: int | None = None) -> int:
    """Refuse while the plugin or a dependent is on, wanted or still running; keeps it so until the transaction ends,
    and with it everybody's toggles: whatever takes long comes before. Then ask anew with `since`, which refuses as well
    if it was on in between. Gives the newest revision's number, for `since`.

    `config` is the configuration as it is written now.

    Raises:
        PluginStillOn: it names what is on, and the commands that turn it off.
    """
    manifests = {name: one.manifest for name, one in (await asyncio.to_thread(discover)).candidates.items()}
    await revisions.lock(connection)
    # Where the file and the revision differ, the next change of the file may turn the plugin on: both must say off.
    on = {row[0] for row in await connection.fetch(_ON)} | enabled_plugins(config)
    dependents = which_need([plugin], on, manifests)
    if plugin in on or dependents:
        off_first = [*dependents, *([plugin] if plugin in on else [])]
        told = [f"{name} needs {plugin} and is on" for name in dependents]
        told += [f"{plugin} is on"] if plugin in on else []
        commands = " && ".join(f"pegboard plugins disable {name}" for name in off_first)
        raise PluginStillOn(f"{'; '.join(told)}. Turn off first what is to go: {commands}")
    if processes := await connection.fetchval(_RUNNING, plugin):
        still = f"{counted(processes, 'process', 'processes')} still {'runs' if processes == 1 else 'run'}"
        raise PluginStillOn(f"{still} {plugin}: try again in a moment.")
    await refuse_while_jobs_run(connection, plugin)
    if since is not None and await connection.fetchval(_SINCE, since, plugin):
        raise PluginStillOn(f"{plugin} was turned on meanwhile, and nothing was done: try again.")
    return await connection.fetchval("SELECT coalesce(max(number), 0) FROM kernel_plugin_revisions")


async def refuse_while_jobs_run(connection: Any, plugin: str) -> None:
    """Refuse while a worker is at a job of the plugin's.

    Raises:
        PluginStillOn: how many there are.
    """
    if jobs := await connection.fetchval(_JOBS, plugin):
        running = f"{counted(jobs, 'job')} of {plugin} {'is' if jobs == 1 else 'are'} still running"
        raise PluginStillOn(f"{running}: try again once that is done.")
