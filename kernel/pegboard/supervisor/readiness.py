"""What the supervisor and its child processes tell each other, on pipes that the children inherit.

A child loads its code while the database is still being prepared, and waits before it uses it; later it says that it is
ready.
"""

import asyncio
import os

__all__ = ("READY_FD", "START_FD", "ReadyPipe", "StartGate", "notify_ready", "supervised", "wait_for_start")

READY_FD = "PEGBOARD_READY_FD"
START_FD = "PEGBOARD_START_FD"
LINE = b"ready\n"


def supervised() -> bool:
    """Whether this process was started by `pegboard up`."""
    return READY_FD in os.environ


def wait_for_start() -> None:
    """Block until the database is prepared; without a supervisor not at all. For the time before an event loop runs.

    Call it when everything is imported, and while a stop signal still ends the process.
    """
    descriptor = os.environ.get(START_FD)
    if descriptor is not None:
        os.read(int(descriptor), 1)  # end of file: for everybody at once, and for who is started later


def notify_ready() -> None:
    """Say once that this process does its work now. Without a supervisor nothing happens."""
    descriptor = os.environ.get(READY_FD)
    if descriptor is None:
        return
    try:
        os.write(int(descriptor), LINE)
    except BrokenPipeError:
        return  # the supervisor has ended, and its guard is about to end us


class StartGate:
    """The supervisor's side of `wait_for_start`: pass `read_end` to the children and name it in `START_FD`."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def open(self) -> None:
        """Let everybody go on who waits, or will."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def close(self) -> None:
        """Close both ends; no child is started afterwards."""
        self.open()
        os.close(self.read_end)


class ReadyPipe:
    """The supervisor's side: pass `write_end` to the child and name it in `READY_FD`, then wait."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()

    async def wait(self) -> None:
        """Wait for the child's line. A child that ends without it leaves this waiting: watch its end too."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._read_end, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._read_end)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read_end)
        os.close(self.write_end)
