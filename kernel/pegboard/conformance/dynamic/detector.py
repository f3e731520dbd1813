"""Finds a plugin's calls that block the event loop."""

import asyncio
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ("BlockingDetector",)

_CALLS = {
    "time.sleep": "sleeps",
    "subprocess.Popen": "starts a program",
    "os.system": "starts a program",
    "os.posix_spawn": "starts a program",
    "socket.connect": "connects",
    "socket.getaddrinfo": "looks a host up",
    "socket.gethostbyname": "looks a host up",
    "sqlite3.connect": "opens a database",
    "open": "opens a file",
}
LATE = 0.15
"""Seconds for which the loop must not answer before somebody is looked for."""
BEAT = 0.02


class BlockingDetector:
    """Watches the running loop while `watching()`; `found` holds a sentence for each place in `folder` that blocked it.

    Two things are looked at: audit events of Python itself, which tell calls that wait, and the loop's own pulse: when
    it stops, a thread looks where the code is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}/"
        # Who runs below the plugin on its behalf knows what they do: the kernel's waits are not the plugin's.
        self._trusted = tuple(
            f"{Path(sys.modules[name].__path__[0])}/" for name in ("pegboard", "pegboard_sdk", "asyncpg")
        )
        self._library = f"{sysconfig.get_path('stdlib')}/"
        self._thread: int | None = None
        self._beats = 0
        self._found: dict[str, str] = {}
        self._hooked = False

    @property
    def found(self) -> list[str]:
        """What blocked the loop, a sentence for each place."""
        return sorted(self._found.values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the running loop from this thread until the end of the block."""
        if not self._hooked:
            sys.addaudithook(self._audit)  # it stays for good, and looks at nothing outside of the block
            self._hooked = True
        loop = asyncio.get_running_loop()
        ended = threading.Event()
        self._thread = threading.get_ident()
        pulse = loop.create_task(self._pulse())
        sampler = threading.Thread(target=self._sample, args=(ended,), daemon=True)
        sampler.start()
        try:
            yield
        finally:
            self._thread = None
            pulse.cancel()
            ended.set()
            sampler.join()

    async def _pulse(self) -> None:
        while True:
            self._beats += 1
            await asyncio.sleep(BEAT)

    def _sample(self, ended: threading.Event) -> None:
        # Looks are counted, not seconds: a machine that is busy with something else holds this thread up too.
        looks, beats = 0, self._beats
        while not ended.wait(BEAT):
            looks, beats = (looks + 1 if self._beats == beats else 0), self._beats
            frame = sys._current_frames().get(self._thread or 0)
            if looks * BEAT > LATE and frame is not None:
                place = self._place(frame)
                if place is not None:
                    self._found.setdefault(place, f"{place} holds up the event loop for more than {LATE * 1000:.0f} ms")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._thread is None or event not in _CALLS or threading.get_ident() != self._thread:
            return
        if event == "socket.connect" and getattr(arguments[0], "gettimeout", lambda: None)() == 0:
            return  # it doesn't wait
        place = self._place(sys._getframe(1))
        if place is not None:
            what = f"{_CALLS[event]} ({event})"
            self._found[place] = f"{place} {what} on the event loop: await an async call, or use asyncio.to_thread"

    def _place(self, frame: FrameType | None) -> str | None:
        """Where in the plugin's folder the code is, unless somebody trusted or an import is between."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self._folder):
                return f"{Path(file).relative_to(self._folder).as_posix()}:{frame.f_lineno}"
            if file.startswith("<frozen importlib") or file.startswith(self._trusted):
                return None
            frame = frame.f_back
        return None
