"""The data folder: made, locked for one supervisor, and holding the master key."""

import base64
import os
import secrets
from pathlib import Path

from pegboard.config.model import Config
from pegboard.embedded.locks import FolderLock, LockHeldError
from pegboard.embedded.placement import own_folder
from pegboard.supervisor.errors import StartError

__all__ = ("VarFolder", "is_running", "master_key_file")

LOCK = "pegboard.lock"


class VarFolder:
    """The data folder of a running platform. One process has it at a time; `release` or the process's end gives it
    up.
    """

    def __init__(self, path: Path) -> None:
        """Make the folder where it is missing, and lock it.

        Raises:
            StartError: it can't be made or written to, or another platform runs on it.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Others may pass, not look: as root the database's user must reach its folder in here.
            own_folder(path, None, 0o711)
            self._lock = FolderLock(path / LOCK, wait=0.2)  # `is_running` has it for a moment
        except LockHeldError as error:
            who = f"process {error.holder}" if error.holder else "another process"
            raise StartError(f"{who} already runs Pegboard on {path}: stop it, or choose another --var.") from None
        except OSError as error:
            where = error.filename or path
            raise StartError(
                f"can't write to the data folder {path} ({error.strerror}: {where}): "
                "make it writable, or choose another with --var."
            ) from error

    def master_key(self) -> Path:
        """The file with the master key, made where it is missing.

        Raises:
            StartError: it can't be written or read.
        """
        path = master_key_file(self.path)
        try:
            own_folder(path.parent, None, 0o700)
            if not path.exists():
                # Written aside and renamed: half a key would lock everybody out of what it encrypts.
                scratch = path.with_name(f"{path.name}.new")
                descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                scratch.rename(path)
            path.read_bytes()
        except OSError as error:
            raise StartError(f"can't use {path}: {error.strerror}; it holds the master key.") from error
        return path

    def release(self) -> None:
        """Let another platform have the folder."""
        self._lock.release()


def master_key_file(var: Path) -> Path:
    """Where a platform without a configured master key keeps the one that it made."""
    return var / "secrets" / "master.key"


def is_running(config: Config) -> bool:
    """Whether a platform runs on the configuration's data folder now."""
    path = Path(config.var) / LOCK
    if not path.exists():
        return False
    try:
        FolderLock(path).release()
    except LockHeldError:
        return True
    return False
