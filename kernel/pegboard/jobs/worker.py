"""A worker: dramatiq's threads take messages from Redis and hand them to the event loop, which runs the jobs."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker

from pegboard.jobs.broker import declare_actor, make_broker, tokens
from pegboard.jobs.catalog import Catalogs, Held
from pegboard.jobs.dispatcher import Dispatcher
from pegboard.jobs.executor import Executor
from pegboard.jobs.relaxed import open_relaxed_pool
from pegboard.jobs.relay import Relay
from pegboard.jobs.sweeps import Sweeper

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("THREADS", "JobWorker", "process_name")

THREADS = 4
"""Threads that wait for the event loop to take up a message; they run no jobs."""
IDLE_MS = 100
"""How long dramatiq sleeps at most between looks at an empty queue."""

log = structlog.get_logger("pegboard.jobs")


def process_name() -> str:
    """What this process is called on the rows that it holds."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class JobWorker:
    """Everything that runs jobs in one process: relay, dramatiq's worker, dispatcher and sweep.

    `generation` gives the active one: whatever starts from now on belongs to it.
    """

    def __init__(self, runtime: "Runtime", generation: Callable[[], Held]) -> None:
        self.name = process_name()
        self._runtime = runtime
        self._catalogs = Catalogs(generation)
        self._pool: asyncpg.Pool | None = None
        self._dispatcher: Dispatcher | None = None
        self._broker: RedisBroker | None = None
        self._dramatiq: dramatiq.Worker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """What runs as long as the worker does. One that ends before has failed."""
        return [*self._tasks, *(self._dispatcher.tasks if self._dispatcher is not None else ())]

    async def start(self) -> None:
        """Begin to take messages.

        Raises:
            OSError, asyncpg.PostgresError: the database can't be reached.
        """
        runtime, jobs = self._runtime, self._runtime.config.jobs
        pool = self._pool = await open_relaxed_pool(runtime.database)
        dispatcher = self._dispatcher = Dispatcher(
            Executor(runtime, pool, self._catalogs, breakers=runtime.breakers),
            pool,
            worker=self.name,
            concurrency=jobs.concurrency,
            heartbeat_interval=jobs.heartbeat_interval,
        )
        dispatcher.start()
        broker = self._broker = make_broker(runtime.config.redis.url.reveal())
        loop = asyncio.get_running_loop()

        def run(batch: list[list[Any]]) -> None:
            asyncio.run_coroutine_threadsafe(dispatcher.offer(tokens(batch)), loop).result()

        declare_actor(broker, run)
        relay = Relay(runtime.database, pool, broker, self._catalogs, poll_interval=jobs.poll_interval)
        sweeper = Sweeper(runtime, pool, self._catalogs, holder=self.name)
        self._tasks = [
            asyncio.create_task(relay.run(), name="jobs-relay"),
            asyncio.create_task(sweeper.run(), name="jobs-sweep"),
        ]
        self._dramatiq = dramatiq.Worker(broker, worker_threads=THREADS, worker_timeout=IDLE_MS)
        self._dramatiq.start()
        log.info("worker.started", worker=self.name, concurrency=jobs.concurrency)

    async def stop(self) -> None:
        """Take no more messages, finish what runs within the grace, queue the rest again, and close."""
        for task in self._tasks:
            task.cancel()
        if self._dispatcher is not None:
            grace = self._runtime.config.jobs.shutdown_grace
            fetching = None
            if self._dramatiq is not None:
                fetching = asyncio.create_task(asyncio.to_thread(self._dramatiq.stop, int((grace + 10) * 1000)))
            await self._dispatcher.stop(grace)
            if fetching is not None:
                await fetching
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._broker is not None:
            self._broker.client.close()
        if self._pool is not None:
            await self._pool.close()
        log.info("worker.stopped", worker=self.name)
