"""Notices when code blocks the event loop, and says whose.

The loop only has to set a time now and then; a thread looks whether it still does. When it is late, the thread reads
off the loop's stack what it is doing. A loop that is late while it waits for its own events was not blocked: the
machine had no time for it. Whatever else it is in keeps it, also a plugin's wait for a subprocess or a socket.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Self

import structlog

from pegboard.isolation.owners import KERNEL, Owners, place, running
from pegboard.runtime import Runtime
from pegboard.telemetry.metrics import Metrics

__all__ = ("Watchdog",)

QUIET = 60.0
"""Seconds in which one plugin gets a single line."""
STUCK = 5.0
"""Seconds of being blocked after which the line is not put off until the end: there may be none."""
log = structlog.get_logger("pegboard.isolation")


class Watchdog:
    """One per process. `owners` gives whose code is where, `threshold` in seconds is how late the loop may be.

    A process that has been blocked for `limit` seconds is of no use to anybody: it is ended (`end`), its transactions
    roll back, its jobs go to others, and whoever watches it starts it anew. Only time that the thread itself lived
    through counts, not that of a machine that stood still.
    """

    def __init__(
        self,
        owners: Callable[[], Owners],
        metrics: Metrics,
        *,
        threshold: float,
        limit: float,
        end: Callable[[], None] = lambda: os._exit(os.EX_SOFTWARE),
    ) -> None:
        self._owners = owners
        self._metrics = metrics
        self._threshold = threshold
        self._interval = threshold / 2
        self._limit = limit
        self._end = end
        self._due = 0.0
        self._told: dict[str, float] = {}
        self._left_out: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None
        self._loops: frozenset[CodeType] = frozenset()
        """What calls the loop's callbacks: asyncio's loop, or what runs one that is written in C and has no frames."""

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """The one of the process that `runtime` is of."""
        isolation = runtime.config.isolation
        return cls(
            lambda: runtime.breakers.owners,
            runtime.metrics,
            threshold=isolation.loop_blocked_after,
            limit=isolation.loop_ended_after,
        )

    def start(self) -> None:
        """Watch the loop that runs this."""
        self._loop = asyncio.get_running_loop()
        self._due = time.monotonic()
        self._timer = self._loop.call_soon(self._first_tick)
        arguments = (threading.get_ident(),)
        self._thread = threading.Thread(target=self._watch, args=arguments, name="loop-watchdog", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _tick(self) -> None:
        """In the loop: say that it is alive."""
        assert self._loop is not None
        self._due = time.monotonic() + self._interval
        self._timer = self._loop.call_later(self._interval, self._tick)

    def _first_tick(self) -> None:
        """In the loop: learn how it looks from within, then tick."""
        caller = sys._getframe().f_back
        if caller is not None and caller.f_globals.get("__name__") == "asyncio.events":
            caller = caller.f_back  # the handle of this callback
        self._loops = frozenset(one.f_code for one in (caller, caller and caller.f_back) if one is not None)
        self._tick()

    def _waits(self, frame: FrameType) -> bool:
        """Whether the loop waits for its events: it is innermost, or the selector that it called. Other code selects
        and polls, too: `subprocess` while it waits, and sockets with a time limit.
        """
        if frame.f_back is not None and frame.f_globals.get("__name__") == "selectors":
            frame = frame.f_back
        return frame.f_code in self._loops

    def _watch(self, thread: int) -> None:
        while not self._stopping.wait(self._interval):
            due = self._due
            if time.monotonic() - due > self._threshold:
                frame = sys._current_frames().get(thread)
                if frame is not None and self._due == due and not self._waits(frame):
                    self._blocked(frame, due)

    def _blocked(self, frame: FrameType, due: float) -> None:
        """The loop was to run at `due`. Find out who keeps it, and for how long."""
        lines = running(frame)
        del frame  # it would keep alive what the function holds
        plugin, line = self._owners().innermost(lines) or (KERNEL, lines[-1])
        where, told = place(line), False
        watched, step = 0.0, self._interval / 4
        while self._due == due and not self._stopping.wait(step):
            watched += step
            if not told and time.monotonic() - due > STUCK:
                told = self._tell(plugin, where, time.monotonic() - due, "loop.still_blocked")
            if watched > self._limit:
                log.critical("loop.ended", plugin=plugin, where=where, seconds=round(time.monotonic() - due, 3))
                self._end()
                return
        seconds = time.monotonic() - due
        self._metrics.loop_blocked.labels(plugin).inc(seconds)
        if not told:
            self._tell(plugin, where, seconds, "loop.blocked")

    def _tell(self, plugin: str, where: str, seconds: float, event: str) -> bool:
        now = time.monotonic()
        if now < self._told.get(plugin, 0.0):
            self._left_out[plugin] = self._left_out.get(plugin, 0) + 1
        else:
            self._told[plugin] = now + QUIET
            left_out = self._left_out.pop(plugin, 0)
            more = {"since_the_last_line": left_out} if left_out else {}
            log.warning(event, plugin=plugin, where=where, seconds=round(seconds, 3), **more)
        return True
