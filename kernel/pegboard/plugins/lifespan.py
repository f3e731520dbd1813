"""From the plugins' `on_startup` to their `on_shutdown`, within the life of a generation."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import structlog

from pegboard.plugins.hooks import describe, raised_at
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.plugins.start_marks import StartMarks
from pegboard.plugins.starting import StartWatch, Turns

__all__ = ("StartupError", "plugins_lifespan")

GRACE = 1.0
"""Seconds that a plugin's code gets to take note of its cancellation, before it is left behind."""
log = structlog.get_logger("pegboard.plugins.generation")


class StartupError(Exception):
    """Plugins' `on_startup` raised or took too long. `failed`: plugin → reason."""

    def __init__(self, failed: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in failed.items()))
        self.failed = dict(failed)


@contextlib.asynccontextmanager
async def plugins_lifespan(registry: Registry, limit: float, marks: StartMarks | None = None) -> AsyncIterator[None]:
    """Run the plugins' `on_startup` and, at the end, their `on_shutdown`; each may take `limit` seconds.

    A plugin starts once those have that it requires or comes after, and ends before they do. Plugins that have nothing
    to do with each other start and end at the same time, so that what several waste doesn't add up. All that can start
    are tried, so that every failure is known at once; what requires a failed one is not. `marks` notes who starts, for
    the case that the process doesn't survive it; a start that blocks the event loop has it ended.

    Raises:
        StartupError: some failed. Those that had started have been shut down.
    """
    lives: dict[str, _Life] = {}
    turns = Turns(marks)
    watch = StartWatch(registry, marks, limit + GRACE) if marks is not None else contextlib.nullcontext()
    try:
        with watch:
            for plugin in registry.plugins:
                lives[plugin.name] = _Life(plugin, lives, limit, turns)
            for life in lives.values():
                await life.decided.wait()
        failed = {name: life.failure for name, life in lives.items() if life.failure is not None}
        if failed:
            raise StartupError(failed)
        yield
    finally:
        for life in reversed(lives.values()):
            life.end()
        ending = [life.task for life in lives.values() if not life.abandoned]
        if ending:
            # Each is bounded already, unless it swallows its cancellation.
            _, stuck = await asyncio.wait(ending, timeout=len(ending) * (limit + GRACE))
            for task in stuck:
                log.error("plugin.shutdown_abandoned", task=task.get_name())


class _Life:
    """One plugin's, in one task: what it opens at its start must be closed by the task that opened it."""

    def __init__(self, plugin: LoadedPlugin, earlier: Mapping[str, "_Life"], limit: float, turns: Turns) -> None:
        self.decided = asyncio.Event()
        """Set once it has started, or will not."""
        self.failure: str | None = None
        self.abandoned = False
        """Whether its start goes on and on, although it was cancelled."""
        self._plugin = plugin
        self._limit = limit
        self._turns = turns
        self._runs = False
        self._end = asyncio.Event()
        required = plugin.manifest.requires
        self._required = [earlier[name] for name in required if name in earlier]
        self._earlier = [earlier[name] for name in (*required, *plugin.manifest.after) if name in earlier]
        self._later: list[_Life] = []
        for one in self._earlier:
            one._later.append(self)
        self.task = asyncio.create_task(self._live(), name=f"plugin-{plugin.name}")

    def end(self) -> None:
        """Have it shut down, when those that hang on it have; what is still starting is cancelled."""
        self._end.set()
        if not self.decided.is_set():
            self.task.cancel()

    async def _live(self) -> None:
        for one in self._earlier:
            await one.decided.wait()
        if all(one._runs for one in self._required):
            await self._start()
        self.decided.set()
        await self._end.wait()
        if self._later:
            await asyncio.wait([one.task for one in self._later])
        if self._runs:
            await self._shut_down()

    async def _start(self) -> None:
        if self._plugin.on_startup is None:
            self._runs = True
            return
        turn = await self._turns.begin(self._plugin)
        clock = asyncio.timeout(self._limit)
        abandon = asyncio.get_running_loop().call_later(self._limit + GRACE, self._abandon, turn)
        try:
            async with clock:
                await self._plugin.on_startup()
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # it is the plugin's failure
            late = isinstance(error, TimeoutError) and clock.expired()
            told = f"it took longer than {self._limit:g} s" if late else describe(error)
            # A time-out is raised here; where the plugin was then, its cancellation knows.
            place = raised_at((error.__cause__ or error) if late else error, Path(self._plugin.folder))
            self.failure = f"its on_startup failed: {told}{place}"
        else:
            self._runs = not self.abandoned
        finally:
            abandon.cancel()
            turn.close()

    def _abandon(self, turn: contextlib.ExitStack) -> None:
        self.abandoned = True
        self.failure = (
            f"its on_startup failed: it took longer than {self._limit:g} s, and goes on though it was cancelled"
        )
        turn.close()
        self.decided.set()

    async def _shut_down(self) -> None:
        try:
            if self._plugin.on_shutdown is not None:
                async with asyncio.timeout(self._limit):
                    await self._plugin.on_shutdown()
        except (Exception, SystemExit, KeyboardInterrupt):
            # One plugin's failure must not keep the others from shutting down.
            log.exception("plugin.shutdown_failed", plugin=self._plugin.name)
