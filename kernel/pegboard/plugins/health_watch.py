"""Looks at the plugins' health checks all the time, and takes a plugin that stays unwell out of the platform."""

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import structlog

from pegboard.database.pool import TRANSACTION_ERRORS
from pegboard.jobs.leadership import Leadership
from pegboard.plugins import quarantine, revisions
from pegboard.plugins.failure import Failure
from pegboard.web.health import check_plugins, check_ready

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.web.health import PluginHealth

__all__ = ("HealthWatch",)

MINIMUM_LEASE = 15.0
"""Seconds; the lease lasts longer than the time between two looks."""

log = structlog.get_logger(__name__)


class HealthWatch:
    """One process at a time looks, by lease. `pool` is of the system role.

    Only a plugin's own checks count, so many times in a row; not those that tell of a program which isn't ours
    (`HealthCheck.upstream`), nor any while the platform's own database doesn't answer. Failing requests never count:
    else anybody who finds one could switch a plugin off.
    """

    def __init__(self, runtime: "Runtime", pool: asyncpg.Pool, *, holder: str) -> None:
        self._runtime = runtime
        self._interval = runtime.config.isolation.health_interval
        self._leadership = Leadership(pool, "plugin-health", holder, ttl=max(MINIMUM_LEASE, 3 * self._interval))
        self._allowed = runtime.config.isolation.health_failures
        self._failures: dict[str, int] = {}

    async def run(self) -> None:
        """Look for as long as it isn't cancelled."""
        try:
            while True:
                try:
                    if await self._leadership.held():
                        await self.look()
                    else:
                        self._failures.clear()
                except TRANSACTION_ERRORS as error:
                    log.warning("health.not_looked", error=repr(error))
                await asyncio.sleep(self._interval)
        finally:
            await self._leadership.resign()

    async def look(self) -> None:
        """One look at all plugins."""
        found = await check_plugins(self._runtime, in_turn=True)
        if (await check_ready(self._runtime)).status == "unready":
            return
        for plugin in found:
            unwell = [check for check in plugin.checks if not check.ok and not check.upstream]
            self._runtime.metrics.plugin_healthy.labels(plugin.plugin).set(0 if unwell else 1)
            if not unwell:
                self._failures.pop(plugin.plugin, None)
                continue
            times = self._failures[plugin.plugin] = self._failures.get(plugin.plugin, 0) + 1
            log.warning(
                "plugin.unwell", plugin=plugin.plugin, check=unwell[0].name, detail=unwell[0].detail, times=times
            )
            if times >= self._allowed:
                await self._take_out(plugin, times)
                del self._failures[plugin.plugin]
        gone = self._failures.keys() - {plugin.plugin for plugin in found}
        for name in gone:
            del self._failures[name]

    async def _take_out(self, plugin: "PluginHealth", times: int) -> None:
        """Put it into quarantine, and have all processes swap to a generation without it."""
        check = next(check for check in plugin.checks if not check.ok and not check.upstream)
        running = {one.name: one.manifest.version for one in self._runtime.registry.plugins}
        if plugin.plugin not in running:
            return  # turned off while it was looked at
        version = running[plugin.plugin]
        reason = f"its health check {check.name} failed {times} times in a row: {check.detail}"
        async with self._runtime.database.system_transaction() as connection:
            await revisions.lock(connection)
            wanted = await revisions.wanted_revision(connection)
            if (
                wanted is not None
                and wanted.state == "preparing"
                and plugin.plugin in await quarantine.standing(connection)
            ):
                return  # it is about to go: another revision would only put that off
            await quarantine.put(connection, plugin.plugin, Failure("health", reason, version))
            if wanted is not None:
                await revisions.propose(connection, wanted.plugins, file_hash=wanted.file_hash, origin="kernel")
        log.error("plugin.quarantined", plugin=plugin.plugin, cause="health", reason=reason)
        await revisions.notify(self._runtime.database)
