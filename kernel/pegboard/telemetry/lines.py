"""Where log lines go: a buffer that is written when it is full, when something is wrong, or a moment later."""

import asyncio
import sys
import threading
from typing import BinaryIO

__all__ = ("LineBuffer",)

FLUSH_AFTER = 0.05
FLUSH_AT = 32_768


class LineBuffer:
    """Collects lines and writes them together: a write per line costs more than the line.

    Lines of a running event loop wait at most 50 ms; without a loop each is written at once. Thread-safe.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._size = 0
        self._scheduled = False
        self._lock = threading.Lock()

    def write(self, line: bytes, *, urgent: bool = False) -> None:
        """Add a line (with its newline). `urgent` ones and all before them are written now."""
        with self._lock:
            self._lines.append(line)
            self._size += len(line)
            full = self._size >= FLUSH_AT
            if not (urgent or full) and not self._scheduled:
                try:
                    loop = asyncio.get_running_loop()
                except RuntimeError:
                    urgent = True
                else:
                    self._scheduled = True
                    loop.call_later(FLUSH_AFTER, self.flush)
        if urgent or full:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting. A closed or broken stream loses it: there is nowhere left to say so."""
        with self._lock:
            lines, self._lines, self._size, self._scheduled = self._lines, [], 0, False
            if lines:
                stream = self._stream or sys.stderr.buffer
                try:
                    stream.write(b"".join(lines))
                    stream.flush()
                except (OSError, ValueError):
                    return
