"""A child process that ends when its caller ends, also when the caller is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

from pegboard.embedded import guard
from pegboard.embedded.user import ServerUser

__all__ = ("GuardedProcess", "launched")

T = TypeVar("T")


async def launched(launch: Callable[[], T], *, undo: Callable[[T], object]) -> T:
    """What `launch` gives, called in a thread: starting a process blocks for a while.

    A thread can't be cancelled: when the caller is, `launch` is waited for and undone.
    """
    work = asyncio.ensure_future(asyncio.to_thread(launch))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        undo(await work)
        raise


class GuardedProcess:
    """A command under a guard (see `pegboard.embedded.guard`).

    The constructor returns when the command runs, or has failed to. It belongs to no event loop: `wait` and `stop` may
    be awaited in any. `grace` is in seconds. `lock` is a file descriptor whose lock the guard keeps until the command
    has ended.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: ServerUser | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        umask: int = -1,
        lock: int = -1,
        pass_fds: Sequence[int] = (),
    ) -> None:
        lifeline_read, self._lifeline = os.pipe()
        self._status, status_write = os.pipe()
        uid, gid = (user.uid, user.gid) if user else (-1, -1)
        orders = (lifeline_read, status_write, lock, int(stop_signal), grace, uid, gid)
        handed = (lifeline_read, status_write, *pass_fds, *((lock,) if lock >= 0 else ()))
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *map(str, orders), *map(str, command)],
                env=env,
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                umask=umask,
                pass_fds=handed,
                start_new_session=True,
            )
        except OSError:
            self._close()
            raise
        finally:
            os.close(lifeline_read)
            os.close(status_write)
        self.pid = int(os.read(self._status, 32) or b"0")

    @property
    def guard_pid(self) -> int:
        """The guard's process id; `pid` is the command's."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; else the exit status, 128 + the signal's number for a signal."""
        code = self._popen.poll()
        if code is not None:
            self._close()
        return code

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe, where one was asked for."""
        return self._popen.stdout

    def request_stop(self) -> None:
        """Send the stop signal, and SIGKILL after the grace."""
        self._order(b"S")

    def kill(self) -> None:
        """Kill the command and everything that it started, now."""
        self._order(b"K")

    async def stop(self) -> int:
        """Stop and wait; gives the exit status."""
        self.request_stop()
        return await self.wait()

    def stop_and_wait(self) -> int:
        """As `stop`, for callers without an event loop."""
        self.request_stop()
        return self.wait_blocking()

    def wait_blocking(self) -> int:
        """As `wait`, for callers without an event loop."""
        code = self._popen.wait()
        self._close()
        return code

    async def wait(self) -> int:
        """Wait until it has ended; gives the exit status."""
        if (code := self.returncode) is not None:
            return code
        # The guard holds the other end of the status pipe and nobody else does: end of file is the guard's end.
        descriptor = os.dup(self._status)
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
        try:
            await ended
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self.wait_blocking()

    def _order(self, order: bytes) -> None:
        if self.returncode is None:
            try:
                os.write(self._lifeline, order)
            except BrokenPipeError:
                return  # it ended between the two lines

    def _close(self) -> None:
        for name in ("_lifeline", "_status"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)
