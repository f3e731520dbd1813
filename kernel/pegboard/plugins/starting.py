"""How the start-up of several plugins is kept apart, so that what goes wrong has one owner."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable

import structlog

from pegboard.isolation.owners import Owners, running
from pegboard.plugins.manager import is_built_in
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.plugins.start_marks import StartMarks

__all__ = ("StartWatch", "Turns")

STEP = 0.1
"""Seconds between two looks at the event loop."""
log = structlog.get_logger(__name__)


class Turns:
    """Who may start when: all at the same time, but for plugins that were starting when an earlier process ended. Each
    of those starts while no other does, so that it is known which one it was when that happens again.
    """

    def __init__(self, marks: StartMarks | None) -> None:
        self._marks = marks
        self._suspects = marks.suspects() if marks is not None else frozenset[str]()
        self._starting = 0
        self._alone = False
        self._left = asyncio.Event()

    async def begin(self, plugin: LoadedPlugin) -> contextlib.ExitStack:
        """Wait for the plugin's turn, which lasts until what this gives is closed. Closing it twice changes nothing."""
        alone = plugin.name in self._suspects
        while self._alone or (alone and self._starting):
            self._left.clear()
            await self._left.wait()
        self._starting += 1
        self._alone = alone
        turn = contextlib.ExitStack()
        turn.callback(self._end)
        if self._marks is not None and not is_built_in(plugin.distribution):
            turn.enter_context(self._marks.during(plugin.name, plugin.manifest.version, "startup"))
        return turn

    def _end(self) -> None:
        self._starting -= 1
        self._alone = False
        self._left.set()


class StartWatch:
    """Ends a process whose event loop one plugin's start keeps for more than `limit` seconds: nothing in the loop
    could. The mark that it leaves says who it was, and the next process starts without that plugin.

    It watches inside a `with` block, in the loop that runs it.
    """

    def __init__(
        self,
        registry: Registry,
        marks: StartMarks,
        limit: float,
        *,
        end: Callable[[], None] = lambda: os._exit(os.EX_SOFTWARE),
    ) -> None:
        self._owners = Owners(registry)
        self._versions = {plugin.name: plugin.manifest.version for plugin in registry.plugins}
        self._marks = marks
        self._limit = limit
        self._end = end
        self._over = threading.Event()
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """Begin to watch."""
        self._tick()
        thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="plugins-start-watch", daemon=True
        )
        thread.start()

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        """In the loop: say that it is alive."""
        self._turns += 1
        self._timer = asyncio.get_running_loop().call_later(STEP / 2, self._tick)

    def _watch(self, thread: int) -> None:
        turns, seconds, whose = -1, 0.0, ""
        while not self._over.wait(STEP):
            frame = sys._current_frames().get(thread)
            found = self._owners.innermost(running(frame)) if frame is not None else None
            del frame  # it would keep alive what the function holds
            plugin, line = found or ("", ("", 0, ""))
            if self._turns != turns or plugin != whose:
                # Several that block one after the other don't add up.
                turns, seconds, whose = self._turns, 0.0, plugin
                continue
            seconds += STEP  # not by the clock: a machine may stand still
            if seconds <= self._limit:
                continue
            where = f"{line[0]}:{line[1]}"
            log.critical("plugin.start_blocked", plugin=plugin or "unknown", where=where, seconds=round(seconds, 1))
            if plugin:
                told = f"its on_startup failed: it blocked the event loop for more than {self._limit:g} s ({where})"
                self._marks.blame(plugin, self._versions[plugin], "startup", told)
            self._end()
            return
