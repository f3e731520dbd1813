"""Whose code holds the memory that a process allocated in some seconds."""

import asyncio
import tracemalloc
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from pegboard.isolation.owners import Code, Owners, place

__all__ = ("LONGEST", "Busy", "MemoryLine", "MemoryOwner", "measure")

LONGEST = 60.0
"""Seconds that a look takes at most: meanwhile the process is several times slower where it allocates."""
FRAMES = 16
"""Calls that are remembered of each allocation: deep enough to reach from a library to who called it."""
TOP_LINES = 5


class Busy(Exception):
    """Something else traces this process's memory already."""


class MemoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of code, and what it (or what it called) allocated that is still held."""

    where: str
    bytes: int
    blocks: int


class MemoryOwner(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin, the kernel or `libraries`, with the lines that hold most."""

    owner: str
    bytes: int
    blocks: int
    lines: list[MemoryLine]


async def measure(seconds: float, owners: Owners) -> list[MemoryOwner]:
    """Trace allocations for `seconds`; who then holds how much of them, the most first. Nothing is traced afterwards.

    Raises:
        Busy: tracing is on already.
    """
    if tracemalloc.is_tracing():
        raise Busy("something else traces the memory of this process already")
    tracemalloc.start(FRAMES)
    try:
        await asyncio.sleep(seconds)
        return await asyncio.to_thread(_take, owners)
    finally:
        tracemalloc.stop()


def _take(owners: Owners) -> list[MemoryOwner]:
    ignored = (tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__))
    found = tracemalloc.take_snapshot().filter_traces(ignored).statistics("traceback")
    return _grouped(((_lines(one.traceback), one.size, one.count) for one in found), owners)


def _lines(trace: tracemalloc.Traceback) -> list[Code]:
    return [(frame.filename, frame.lineno, "") for frame in trace]


def _grouped(allocations: Iterable[tuple[list[Code], int, int]], owners: Owners) -> list[MemoryOwner]:
    lines: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for trace, size, count in allocations:
        owner, line = owners.attributed(trace)
        total = lines[owner][place(line)]
        total[0] += size
        total[1] += count
    grouped = [
        MemoryOwner(
            owner=owner,
            bytes=sum(size for size, _ in places.values()),
            blocks=sum(count for _, count in places.values()),
            lines=[
                MemoryLine(where=where, bytes=size, blocks=count)
                for where, (size, count) in sorted(places.items(), key=lambda one: -one[1][0])[:TOP_LINES]
            ],
        )
        for owner, places in lines.items()
    ]
    return sorted(grouped, key=lambda one: -one.bytes)
