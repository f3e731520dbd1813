"""A worker process for tests: its job says in Redis that it began, and ends when Redis says so.

Run as `python -m tests.kernel.jobs.slow_worker <plugins.toml>`, with the rest of the configuration in the environment.
"""

import asyncio
import signal
import sys
from pathlib import Path

import redis.asyncio
import uvloop
from pegboard.config.load import load_config
from pegboard.jobs.catalog import Standing
from pegboard.jobs.worker import JobWorker
from pegboard.plugins.compile import compile_registry
from pegboard.runtime import Runtime
from pegboard.supervisor.readiness import notify_ready
from pegboard.telemetry.logging import configure_logging
from pegboard_sdk import Job, UnitOfWork

from tests.kernel.jobs.lab import Ping, leave_effect, plugin

__all__ = ("GO", "SLOW", "STARTED", "main")

STARTED = "test:started"
GO = "test:go"


async def _run(uow: UnitOfWork, ping: Ping) -> None:
    """Leave the effect, say so, and wait; then the transaction commits, unless the process has died."""
    await leave_effect(uow, "slow", ping.n)
    client = redis.asyncio.from_url(sys.argv[2])
    try:
        await client.rpush(STARTED, ping.n)
        assert await client.blpop([GO], timeout=60), "nobody said go"
    finally:
        await client.aclose()


SLOW = Job(name="probe.slow", payload=Ping, run=_run)


async def main() -> None:
    config = load_config(Path(sys.argv[1]))
    configure_logging(config.log)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runtime = await Runtime.open(config)
    runtime.registry = compile_registry([plugin(jobs=[SLOW])], [])
    worker = JobWorker(runtime, lambda: Standing(runtime.registry))
    await worker.start()
    notify_ready()
    await stop.wait()
    await worker.stop()
    await runtime.close()


if __name__ == "__main__":
    uvloop.run(main())
