"""How a child process tells the supervisor that it is ready: a line on a pipe that it inherits."""

import asyncio
import os

__all__ = ("READY_FD", "ReadyPipe", "notify_ready", "supervised")

READY_FD = "PEGBOARD_READY_FD"
LINE = b"ready\n"


def supervised() -> bool:
    """Whether this process was started by `pegboard up`."""
    return READY_FD in os.environ


def notify_ready() -> None:
    """Say once that this process does its work now. Without a supervisor nothing happens."""
    descriptor = os.environ.get(READY_FD)
    if descriptor is None:
        return
    try:
        os.write(int(descriptor), LINE)
    except BrokenPipeError:
        return  # the supervisor has ended, and its guard is about to end us


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
