"""What keeps a server from starting, in words for the person who wants it to start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ("AlreadyRunningError", "EmbeddedError", "explained")


class EmbeddedError(Exception):
    """An embedded server can't start; the message is one line that says why and what to do."""


class AlreadyRunningError(EmbeddedError):
    """Another process runs a server on this data."""


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an `EmbeddedError` about `folder`."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and str(error.filename) != str(folder) else ""
        raise EmbeddedError(
            f"can't use {folder}: {error.strerror or error}{where}; make it writable or choose another data folder."
        ) from error
