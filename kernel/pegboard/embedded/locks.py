"""Locks on folders. The operating system drops them when their holder ends: a file left by a crash locks nothing."""

import fcntl
import os
import time
from pathlib import Path

__all__ = ("FolderLock", "LockHeldError")


class LockHeldError(Exception):
    """Somebody holds the lock. `holder` is the process id that they left in the file, or empty."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class FolderLock:
    """An exclusive lock by way of a file. The file stays: removing it would let two holders lock two different files
    of one name.
    """

    def __init__(self, path: Path, *, wait: float = 0.0) -> None:
        """Take the lock, waiting up to `wait` seconds for it.

        Raises:
            LockHeldError: somebody else has it.
            OSError: the file can't be made.
        """
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                holder = os.pread(self.descriptor, 32, 0).decode(errors="replace").strip()
                os.close(self.descriptor)
                raise LockHeldError(holder) from None
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give up our hold; whoever inherited the descriptor keeps theirs."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
