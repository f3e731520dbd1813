"""What `pegboard up` tells whoever watches: a line per step, when it is done and how long it took."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

__all__ = ("Progress", "Step")

SLOW = 1.0
"""Seconds after which a step that is under way says so where lines can't be replaced."""


class Step:
    """A step under way. `detail` is what its line says in the end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""


class Progress:
    """Writes to `stream`: on a terminal the current step is shown and then replaced; elsewhere there are plain
    lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    def say(self, line: str) -> None:
        """A line of its own. A reader that has gone away is no reason to stop."""
        self._write(f"\r\x1b[K{line}\n" if self._terminal else f"{line}\n")

    @asynccontextmanager
    async def step(self, title: str, *, others_write: bool = False) -> AsyncIterator[Step]:
        """Show `title` while the block runs; where it fails, the error is the caller's to show.

        Where `others_write` to the terminal meanwhile, the line is left to them.
        """
        step = Step(title)
        began = time.monotonic()
        waiting = None
        if self._terminal:
            self._write(f"\r\x1b[K\x1b[2m  … {title}\x1b[0m" + ("\n" if others_write else ""))
        else:
            waiting = asyncio.get_running_loop().call_later(SLOW, self.say, f"  … {title}")
        try:
            yield step
        except BaseException:
            if self._terminal:
                self._write("\r\x1b[K")
            raise
        finally:
            if waiting is not None:
                waiting.cancel()
        mark = "\x1b[32m✓\x1b[0m" if self._terminal else "✓"
        detail = f": {step.detail}" if step.detail else ""
        self.say(f"  {mark} {step.title}{detail} ({time.monotonic() - began:.1f} s)")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return
