"""What an API process runs: the runtime, and the generations that answer requests."""

import asyncio
from pathlib import Path
from typing import Any

from litestar import Litestar

from pegboard.config.model import Config
from pegboard.isolation.watchdog import Watchdog
from pegboard.plugins.generation import Generation, GenerationHolder
from pegboard.plugins.registry import Registry
from pegboard.plugins.start_marks import StartMarks
from pegboard.plugins.watcher import RegistryWatcher
from pegboard.runtime import Runtime
from pegboard.web.addresses import Addresses
from pegboard.web.app import build

__all__ = ("Platform",)

DRAIN_TIMEOUT = 30.0
"""Seconds that open streams get when their generation or this process ends."""


class Platform:
    """Started and stopped with the process; its parts can't be reached before."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.addresses = Addresses(
            config.http.trusted_proxies,
            forwarded_by=config.http.forwarded_by,
            ipv6_prefix=config.http.rate_ipv6_prefix,
        )
        self._runtime: Runtime | None = None
        self._watcher: RegistryWatcher | None = None
        self._watchdog: Watchdog | None = None
        self.holder: GenerationHolder[Litestar] = GenerationHolder(
            self._build,
            on_swap=self._swapped,
            drain_timeout=DRAIN_TIMEOUT,
            startup_timeout=config.isolation.startup_timeout,
            marks=StartMarks(Path(config.var)),
        )

    @property
    def runtime(self) -> Runtime:
        """The process's runtime.

        Raises:
            RuntimeError: the platform was not started.
        """
        if self._runtime is None:
            raise RuntimeError("the platform is not started")
        return self._runtime

    async def start(self) -> None:
        """Connect, run the first generation, and keep to the plugins that are wanted from then on."""
        self._runtime = await Runtime.open(self.config)
        try:
            await self._runtime.start()
            self._runtime.limiter.start()
            self._watcher = RegistryWatcher(self._runtime, "api", holder=self.holder)
            self._watchdog = Watchdog.of(self._runtime)
            self._watchdog.start()
            await self._watcher.start()
        except BaseException:
            await self.stop()
            raise

    def leave(self, at_once: bool) -> None:
        """This process is about to end: have open streams end too, `at_once` or after the time that they have. The
        server waits for them before it calls `stop`.
        """
        closing = self.holder.current.closing
        asyncio.get_running_loop().call_later(0.0 if at_once else DRAIN_TIMEOUT, closing.set)

    async def stop(self) -> None:
        """Finish what runs, then close everything; a platform that stopped half-way through its start too."""
        if self._watchdog is not None:
            await self._watchdog.stop()
        if self._watcher is not None:
            await self._watcher.stop()
        await self.holder.close()
        if self._runtime is not None:
            await self._runtime.close()

    def _build(self, registry: Registry) -> Litestar:
        return build(self.runtime, registry, self.addresses)

    def _swapped(self, generation: Generation[Any]) -> None:
        self.runtime.registry = generation.registry
        states: dict[str, int] = {"enabled": len(generation.registry.plugins) - 1, "disabled": 0, "failed": 0}
        for plugin in generation.registry.skipped:
            states[plugin.state] = states.get(plugin.state, 0) + 1
        for state, count in states.items():
            self.runtime.metrics.plugins.labels(state).set(count)
