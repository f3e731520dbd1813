"""What an API process runs: the runtime, and the generations that answer requests."""

from typing import Any

from litestar import Litestar

from pegboard.config.model import Config
from pegboard.plugins.generation import Generation, GenerationHolder
from pegboard.plugins.registry import Registry
from pegboard.plugins.watcher import RegistryWatcher
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
        self._watcher: RegistryWatcher | None = None
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
        """Connect, run the first generation, and keep to the plugins that are wanted from then on."""
        self._runtime = await Runtime.open(self.config)
        try:
            self._limiter = RateLimiter(self._runtime.redis)
            await self._runtime.start()
            self._limiter.start()
            self._watcher = RegistryWatcher(self._runtime, "api", holder=self.holder)
            await self._watcher.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish what runs, then close everything; a platform that stopped half-way through its start too."""
        if self._watcher is not None:
            await self._watcher.stop()
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
