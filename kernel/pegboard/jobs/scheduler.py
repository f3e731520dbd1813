"""The scheduler: fires schedules when they are due. Any number may run; the one that holds the lease fires."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg
import structlog

from pegboard.audit.sealer import Sealer
from pegboard.database.pool import DATABASE_ERRORS
from pegboard.jobs.catalog import Catalogs, Held
from pegboard.jobs.leadership import Leadership
from pegboard.jobs.relaxed import open_relaxed_pool
from pegboard.jobs.schedules import fire_due, next_due, sync_schedules
from pegboard.jobs.sweeps import Sweeper
from pegboard.jobs.worker import process_name
from pegboard.plugins.health_watch import HealthWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pegboard.plugins.registry import Registry
    from pegboard.runtime import Runtime

__all__ = ("Scheduler",)

log = structlog.get_logger("pegboard.jobs")


class Scheduler:
    """Schedules, the sweep, the watch over plugins' health and the audit's sealer, in one process. `generation` gives
    the active one.
    """

    def __init__(self, runtime: "Runtime", generation: "Callable[[], Held]") -> None:
        self.name = process_name()
        self._runtime = runtime
        self._generation = generation
        self._synced: Registry | None = None
        self._names: list[str] = []
        self._pool: asyncpg.Pool | None = None
        self.tasks: list[asyncio.Task[None]] = []
        """What runs as long as the scheduler does. One that ends before has failed."""

    async def start(self) -> None:
        """Begin to fire.

        Raises:
            OSError, asyncpg.PostgresError: the database can't be reached.
        """
        pool = self._pool = await open_relaxed_pool(self._runtime.database, size=2)
        sweeper = Sweeper(self._runtime, pool, Catalogs(self._generation), holder=self.name)
        self.tasks = [
            asyncio.create_task(self._run(pool), name="scheduler"),
            asyncio.create_task(sweeper.run(), name="jobs-sweep"),
            asyncio.create_task(HealthWatch(self._runtime, pool, holder=self.name).run(), name="plugins-health"),
            asyncio.create_task(Sealer(self._runtime, pool, holder=self.name).run(), name="audit-sealer"),
        ]
        log.info("scheduler.started", scheduler=self.name)

    async def stop(self) -> None:
        """Fire no more, let another scheduler lead, and close."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        if self._pool is not None:
            await self._pool.close()
        log.info("scheduler.stopped", scheduler=self.name)

    async def _run(self, pool: asyncpg.Pool) -> None:
        leadership = Leadership(pool, "scheduler", self.name)
        try:
            while True:
                pause = self._runtime.config.jobs.poll_interval
                try:
                    if await leadership.held():
                        pause = min(pause, await self._tick(pool))
                except DATABASE_ERRORS as error:
                    log.warning("scheduler.failed", error=repr(error))
                await asyncio.sleep(pause)
        finally:
            await leadership.resign()

    async def _tick(self, pool: asyncpg.Pool) -> float:
        """Fire what is due. Gives the seconds until something is due again."""
        registry = self._generation().registry
        # The database's clock, so that schedulers on several machines agree.
        now: datetime = await pool.fetchval("SELECT now()")
        if self._synced is not registry:
            self._names = await sync_schedules(pool, registry, now)
            self._synced = registry
        if await fire_due(pool, registry, self._names, now):
            await self._runtime.notifier.poke()
        due = await next_due(pool, self._names)
        return float("inf") if due is None else max(0.01, (due - now).total_seconds())
