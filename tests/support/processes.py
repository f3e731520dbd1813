"""What runs: for tests that end processes and look at what is left."""

import time
from collections.abc import Callable, Iterable

import psutil

__all__ = ("left_of", "until")

POLL = 0.02


def left_of(processes: Iterable[psutil.Process], *, timeout: float = 10.0) -> list[psutil.Process]:
    """Those of `processes` that still run after `timeout` seconds. A zombie doesn't run: who reaps orphans may be
    slow.
    """
    left = list(processes)
    deadline = time.monotonic() + timeout
    while (left := [process for process in left if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(POLL)
    return left


def until(holds: Callable[[], bool], *, timeout: float = 30.0) -> None:
    """Wait until `holds()`; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(POLL)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
