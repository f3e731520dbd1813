"""The side of `job_ratio` that is the same for all queues: so many producers, and waiting until nothing is left."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

__all__ = ("CONCURRENCY", "PRODUCERS", "produce")

PRODUCERS = 8
"""How many enqueue at once."""
CONCURRENCY = 16
"""How many jobs a worker runs at once."""
POLL = 0.02
"""Seconds between looks whether all have finished: seldom enough to cost nothing."""


async def produce(enqueue: Callable[[str, int], Awaitable[None]], finished: Callable[[], Awaitable[bool]]) -> None:
    """For each line `<kind> <count>` of the input: enqueue, wait, and write the seconds from the first to the last."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        kind, count = line.split()
        numbers = iter(range(int(count)))
        began = time.perf_counter()
        await asyncio.gather(*(_enqueue_all(enqueue, kind, numbers) for _ in range(PRODUCERS)))
        while not await finished():  # noqa: ASYNC110  # the workers are other processes
            await asyncio.sleep(POLL)
        sys.stdout.write(f"{time.perf_counter() - began}\n")
        sys.stdout.flush()


async def _enqueue_all(enqueue: Callable[[str, int], Awaitable[None]], kind: str, numbers: Iterator[int]) -> None:
    for n in numbers:
        await enqueue(kind, n)
