"""The processes `pegboard worker` and `pegboard scheduler`: open, load the plugins, work until told to stop, close."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from pegboard.config.model import Config
from pegboard.isolation.watchdog import Watchdog
from pegboard.jobs.scheduler import Scheduler
from pegboard.jobs.worker import JobWorker
from pegboard.plugins.generation import Generation, GenerationHolder
from pegboard.plugins.start_marks import StartMarks
from pegboard.plugins.watcher import RegistryWatcher
from pegboard.runtime import Runtime
from pegboard.supervisor.readiness import notify_ready

__all__ = ("run_scheduler", "run_worker")

DRAIN_TIMEOUT = 3_600.0
"""Seconds that a plugin which was turned off stays for the jobs that run; the time-out of each is shorter."""
log = structlog.get_logger("pegboard.jobs")


class _Part(Protocol):
    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


async def run_worker(config: Config) -> None:
    """Run jobs until SIGTERM or SIGINT.

    Raises:
        OSError, asyncpg.PostgresError: the database can't be reached.
        ConfigError: the configuration is strict and a plugin can't be loaded.
    """
    # Each running job holds a connection; the pool must not be what limits them.
    size = max(config.database.pool_size, config.jobs.concurrency + 2)
    await _run(config, "worker", lambda runtime, generation: JobWorker(runtime, generation), pool_size=size)


async def run_scheduler(config: Config) -> None:
    """Fire schedules until SIGTERM or SIGINT.

    Raises:
        OSError, asyncpg.PostgresError: the database can't be reached.
        ConfigError: the configuration is strict and a plugin can't be loaded.
    """
    await _run(config, "scheduler", lambda runtime, generation: Scheduler(runtime, generation), pool_size=2)


async def _run(
    config: Config, kind: str, make: Callable[[Runtime, Callable[[], Generation[None]]], _Part], *, pool_size: int
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    runtime = await Runtime.open(config, pool_size=pool_size)

    def swapped(generation: Generation[None]) -> None:
        runtime.registry = generation.registry

    # A holder of our own, as jobs keep the generation that they run on.
    holder: GenerationHolder[None] = GenerationHolder(
        lambda _: None,
        on_swap=swapped,
        drain_timeout=DRAIN_TIMEOUT,
        startup_timeout=config.isolation.startup_timeout,
        marks=StartMarks(Path(config.var)),
    )
    watcher = RegistryWatcher(runtime, kind, holder=holder)
    watchdog = Watchdog.of(runtime)
    try:
        watchdog.start()
        await watcher.start()
        part = make(runtime, lambda: holder.current)
        try:
            await part.start()
            notify_ready()
            await _until_stopped(stopping, part.tasks)
        finally:
            await watcher.stop()
            await part.stop()
    finally:
        await watchdog.stop()
        await holder.close()
        await runtime.close()


async def _until_stopped(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal. A part that has failed ends the process, so that whoever watches it starts a new one."""
    signalled = asyncio.create_task(stopping.wait())
    try:
        ended, _ = await asyncio.wait({signalled, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        signalled.cancel()
    for task in ended - {signalled}:
        task.result()
        raise RuntimeError(f"{task.get_name()} ended by itself")
