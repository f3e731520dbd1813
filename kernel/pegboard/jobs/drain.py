"""Running everything that waits, here and now: what tests and one-off commands do instead of starting a worker."""

import asyncio
from typing import TYPE_CHECKING

from pegboard.jobs.catalog import Catalogs, Standing
from pegboard.jobs.executor import Executor
from pegboard.jobs.lease import Claimed, claim
from pegboard.jobs.relay import relay_events, take_due
from pegboard.jobs.worker import process_name

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("drain",)

FAR = 365 * 86_400.0


async def drain(runtime: "Runtime", *, include_delayed: bool = False) -> int:
    """Relay the events and run the jobs that are due, and those that these start, until none is left. Gives how many.

    Everything is as in a worker, but that no message goes through Redis. With `include_delayed` jobs that are due later
    run too, and failing ones again and again until they are dead.
    """
    pool = runtime.database.system
    catalogs = Catalogs(lambda: Standing(runtime.registry))
    executor = Executor(runtime, pool, catalogs, breakers=None)
    slots = asyncio.Semaphore(max(1, runtime.database.app.get_max_size() - 1))
    name = process_name()
    ran = 0

    async def run(job: Claimed) -> None:
        async with slots:
            await executor.run(job)

    while True:
        relayed = await relay_events(pool, catalogs.current)
        taken, due = await take_due(pool, catalogs.current, ahead=FAR if include_delayed else 0.0)
        if not relayed and not taken:
            return ran
        async with asyncio.TaskGroup() as group:
            jobs = await claim(pool, due, name)
            for job in jobs:
                group.create_task(run(job))
        ran += len(jobs)
