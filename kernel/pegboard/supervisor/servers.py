"""The servers that the configuration leaves to us: started, and started again where they were when they end."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from pegboard.config.model import Config
from pegboard.embedded.errors import EmbeddedError
from pegboard.embedded.postgres import EmbeddedPostgres
from pegboard.embedded.valkey import EmbeddedValkey
from pegboard.supervisor.progress import Progress

__all__ = ("Servers",)

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
CALM = 60.0
log = structlog.get_logger("pegboard.supervisor")


class Servers:
    """PostgreSQL and Valkey, each where its URL is not configured. Their URLs stay the same when they are started
    again; `on_restart` is called then, and `on_failure` when one can't be kept running: `stop` then raises why.
    """

    def __init__(
        self, config: Config, progress: Progress, *, on_restart: Callable[[], None], on_failure: Callable[[], None]
    ) -> None:
        self._progress = progress
        self._on_restart = on_restart
        self._on_failure = on_failure
        self._var = var = Path(config.var)
        self._wanted: dict[str, tuple[type[EmbeddedPostgres] | type[EmbeddedValkey], Path]] = {}
        if not config.database.url:
            self._wanted["PostgreSQL"] = (EmbeddedPostgres, var / "postgres")
        if not config.redis.url:
            self._wanted["Valkey"] = (EmbeddedValkey, var / "valkey")
        self._running: dict[str, EmbeddedPostgres | EmbeddedValkey] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self.database_url = config.database.url.reveal()
        self.redis_url = config.redis.url.reveal()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of those that run, by name."""
        return {name.lower(): server.pid for name, server in self._running.items()}

    async def start(self) -> None:
        """Start them, side by side.

        Raises:
            EmbeddedError: one can't start.
        """
        if not self._wanted:
            return
        async with self._progress.step(" and ".join(self._wanted)) as step:
            results = await asyncio.gather(*map(self._start, self._wanted), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            step.detail = f"our own, data in {self._var}"
        if (postgres := self._running.get("PostgreSQL")) is not None:
            self.database_url = postgres.url
        if (valkey := self._running.get("Valkey")) is not None:
            self.redis_url = valkey.url
        self._keepers = [asyncio.create_task(self._keep(name), name=f"keep {name}") for name in self._wanted]
        for keeper in self._keepers:
            keeper.add_done_callback(lambda task: task.cancelled() or not task.exception() or self._on_failure())

    async def stop(self) -> None:
        """Stop them: everything is on disk afterwards."""
        for keeper in self._keepers:
            keeper.cancel()
        kept = await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self._running.values()))
        self._running.clear()
        for result in kept:
            if isinstance(result, Exception):
                raise result

    async def _start(self, name: str) -> None:
        server, folder = self._wanted[name]
        self._running[name] = await server.start(folder, say=self._progress.say)

    async def _keep(self, name: str) -> None:
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            status = await self._running[name].wait()
            if time.monotonic() - began > CALM:
                delay = FIRST_DELAY
            log.error("server.ended", server=name, status=status, restart_in=delay)
            await self._running.pop(name).stop()
            while name not in self._running:
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)
                try:
                    await self._start(name)
                except EmbeddedError as error:
                    log.error("server.not_started", server=name, reason=str(error), restart_in=delay)
            self._on_restart()
