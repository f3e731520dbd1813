"""What an API process runs: the runtime, and the generations that answer requests."""

import asyncio
from typing import Any

from litestar import Litestar

from pegboard.config.model import Config
from pegboard.plugins.generation import Generation, GenerationHolder
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.web.addresses import Addresses
from pegboard.web.app import build
from pegboard.web.ratelimit import RateLimiter

__all__ = ("Platform",)


class Platform:
    """Started and stopped with the process; its parts can't be reached before."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.addresses = Addresses(config.http.trusted_proxies)
        self._runtime: Runtime | None = None
        self._limiter: RateLimiter | None = None
        self.holder: GenerationHolder[Litestar] = GenerationHolder(self._build, on_swap=self._swapped)

    @property
    def runtime(self) -> Runtime:
        """The process's runtime.

        Raises:
            RuntimeError: the platform was not started.
        """
        if self._runtime is None:
            raise RuntimeError("the platform is not started")
        return self._runtime

    @property
    def limiter(self) -> RateLimiter:
        """The process's rate limiter.

        Raises:
            RuntimeError: the platform was not started.
        """
        if self._limiter is None:
            raise RuntimeError("the platform is not started")
        return self._limiter

    async def start(self) -> None:
        """Connect, load the plugins and run the first generation."""
        self._runtime = await Runtime.open(self.config)
        try:
            self._limiter = RateLimiter(self._runtime.redis)
            await self._runtime.start()
            self._limiter.start()
            registry = await asyncio.to_thread(load_plugins, self.config)
            await self.holder.start(registry, without=lambda failed: load_plugins(self.config, failed=failed))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish what runs, then close everything; a platform that stopped half-way through its start too."""
        await self.holder.close()
        if self._limiter is not None:
            await self._limiter.stop()
        if self._runtime is not None:
            await self._runtime.close()

    def _build(self, registry: Registry) -> Litestar:
        return build(self.runtime, registry, self.limiter, self.addresses)

    def _swapped(self, generation: Generation[Any]) -> None:
        self.runtime.registry = generation.registry
        states: dict[str, int] = {"enabled": len(generation.registry.plugins) - 1, "disabled": 0, "failed": 0}
        for plugin in generation.registry.skipped:
            states[plugin.state] = states.get(plugin.state, 0) + 1
        for state, count in states.items():
            self.runtime.metrics.plugins.labels(state).set(count)
