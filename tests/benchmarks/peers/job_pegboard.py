"""What `job_ratio` measures: jobs of ours, one transaction each, through the outbox, the relay, Redis and a worker.

`worker` runs jobs until it is told to stop; `producer` enqueues as many as each line of its input says, waits until
they have finished, and answers with the seconds that it took.
"""

import asyncio
import signal
import sys

import msgspec
import uvloop
from pegboard.config.load import load_config
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.jobs.catalog import Standing
from pegboard.jobs.worker import JobWorker
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.registry import LoadedPlugin
from pegboard.runtime import Runtime
from pegboard.telemetry.logging import configure_logging
from pegboard.work import transact
from pegboard_sdk import Job, Principal, UnitOfWork, new_id
from pegboard_sdk.manifest import Manifest

from tests.benchmarks.peers.job_producer import CONCURRENCY, PRODUCERS, produce

__all__ = ("main",)

UNFINISHED = " UNION ALL ".join(
    f"(SELECT 1 FROM kernel_jobs WHERE state = '{state}' LIMIT 1)" for state in ("queued", "sent", "running")
)


class Number(msgspec.Struct, frozen=True):
    """A payload."""

    n: int


async def _nothing(_: UnitOfWork, __: Number) -> None:
    return None


async def _insert(uow: UnitOfWork, number: Number) -> None:
    await uow.execute(
        "INSERT INTO bench_effects (id, tenant_id, n) VALUES ($1, $2, $3)", new_id(), uow.tenant_id, number.n
    )


JOBS = {
    "nothing": Job(name="bench.nothing", payload=Number, run=_nothing),
    "insert": Job(name="bench.insert", payload=Number, run=_insert),
}
PLUGIN = LoadedPlugin(
    name="bench",
    manifest=Manifest(name="bench", summary="Measured.", version="1.0.0", sdk=">=1,<2"),
    distribution="none",
    jobs=tuple(JOBS.values()),
)


async def worker(runtime: Runtime) -> None:
    """Run jobs until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    running = JobWorker(runtime, lambda: Standing(runtime.registry))
    await running.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await running.stop()


async def producer(runtime: Runtime) -> None:
    """Enqueue what the input says."""
    principal = Principal(kind="system", tenant_id=DEFAULT_TENANT)
    registry = runtime.registry

    async def enqueue(kind: str, n: int) -> None:
        async with transact(runtime, registry, principal, "bench") as work:
            await work.enqueue(JOBS[kind], Number(n))

    async def finished() -> bool:
        return await runtime.database.system.fetchval(UNFINISHED) is None

    await produce(enqueue, finished)


async def main(role: str) -> None:
    """Run as `role`, with the configuration from the environment."""
    config = load_config()
    configure_logging(config.log)
    runtime = await Runtime.open(config, pool_size=CONCURRENCY + 2 if role == "worker" else PRODUCERS)
    runtime.registry = compile_registry([PLUGIN], [])
    try:
        await (worker if role == "worker" else producer)(runtime)
    finally:
        await runtime.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
