"""What runs: for tests that end processes and look at what is left."""

import time
from collections.abc import Iterable

import psutil

__all__ = ("left_of",)


def left_of(processes: Iterable[psutil.Process], *, timeout: float = 10.0) -> list[psutil.Process]:
    """Those of `processes` that still run after `timeout` seconds. A zombie doesn't run: who reaps orphans may be
    slow.
    """
    left = list(processes)
    deadline = time.monotonic() + timeout
    while (left := [process for process in left if _runs(process)]) and time.monotonic() < deadline:
        psutil.wait_procs(left[:1], timeout=0.05)
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
