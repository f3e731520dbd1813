"""What `job_ratio` shows beside: plain dramatiq over the same Redis, which loses what Redis loses."""

import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.peers.job_producer import CONCURRENCY, PRODUCERS, produce

__all__ = ("main",)

QUEUE = "bench"


def make_broker() -> tuple[RedisBroker, dramatiq.Actor]:
    """The broker, with what its manual puts around an actor, and an actor that does nothing."""
    broker = RedisBroker(url=os.environ["PEGBOARD_REDIS__URL"], namespace="bench:dramatiq")

    @dramatiq.actor(broker=broker, queue_name=QUEUE)
    def nothing(n: int) -> None:
        return None

    return broker, nothing


def worker() -> None:
    """Run jobs until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    broker, _ = make_broker()
    running = dramatiq.Worker(broker, worker_threads=CONCURRENCY, worker_timeout=100)
    running.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    stop.wait()
    running.stop()


async def producer() -> None:
    """Enqueue what the input says."""
    broker, actor = make_broker()
    pool = ThreadPoolExecutor(PRODUCERS)
    loop = asyncio.get_running_loop()

    async def enqueue(_: str, n: int) -> None:
        await loop.run_in_executor(pool, actor.send, n)

    async def finished() -> bool:
        return await loop.run_in_executor(pool, broker.do_qsize, QUEUE) == 0

    await produce(enqueue, finished)


def main(role: str) -> None:
    """Run as `role`."""
    if role == "worker":
        worker()
    else:
        asyncio.run(producer())


if __name__ == "__main__":
    main(sys.argv[1])
