"""The embedded servers' log files."""

import os
from pathlib import Path
from typing import IO

from pegboard.embedded.user import ServerUser

__all__ = ("open_log", "tail")


def open_log(path: Path, user: ServerUser | None) -> IO[bytes]:
    """A fresh log file of the server's user; the one before is kept as `<name>.1`."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if user:
        os.fchown(descriptor, user.uid, user.gid)
    return os.fdopen(descriptor, "ab", buffering=0)


def tail(folder: Path, lines: int = 4) -> str:
    """The last lines of the newest logs in `folder`, as one line, and where to read on."""
    files = sorted(folder.glob("*.log"), key=lambda file: file.stat().st_mtime)
    text = [line for file in files[-2:] for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return f"{' | '.join(text[-lines:])} (log: {folder})"
