"""Generations: the running plugin set, and the next one built beside it.

A generation is a registry, what was built from it (the API's Litestar app; nothing in workers and schedulers) and its
lifespan. One task owns it and both enters and exits the lifespan: cancel scopes and context variables break when
another task exits what this one entered.

    holder = GenerationHolder(lambda registry: build(runtime, registry))
    await holder.start(registry)
    ...
    await holder.current(scope, receive, send)          # a request: it keeps the generation that it began on
    ...
    generation = await holder.prepare(next_registry)    # beside the running one, off the event loop
    holder.activate(generation)                         # from here new requests go to it; the old one drains
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from pegboard.plugins.hooks import describe, raised_at
from pegboard.plugins.lifespan import StartupError, plugins_lifespan
from pegboard.plugins.registry import Registry
from pegboard.plugins.start_marks import StartMarks

__all__ = ("BuildError", "Generation", "GenerationHolder", "StartupError")

A = TypeVar("A", bound=Litestar | None)
Without = Callable[[Mapping[str, str]], Registry]

log = structlog.get_logger(__name__)


class BuildError(Exception):
    """The application could not be built.

    `failed`: the plugins at fault → reasons; empty: the fault is not a plugin's.
    """

    def __init__(self, failed: Mapping[str, str], reason: str) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in failed.items()) or reason)
        self.failed = dict(failed)


class Generation(Generic[A]):
    """One compiled plugin set. `number` counts the generations of this process."""

    def __init__(self, number: int, registry: Registry, app: A) -> None:
        self.number = number
        self.registry = registry
        self.app = app
        self.closing = asyncio.Event()
        """Set when open streams must end: the generation is retired and its time to drain is over."""
        self._leases = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._idle: asyncio.Event | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def leases(self) -> int:
        """How many requests or jobs run on it."""
        return self._leases

    def acquire(self) -> None:
        """Keep the generation's lifespan open until `release()`."""
        self._leases += 1

    def release(self) -> None:
        """End what `acquire()` began."""
        self._leases -= 1
        if self._leases == 0 and self._idle is not None:
            self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ASGI, holding a lease."""
        if self.app is None:
            raise RuntimeError("this process serves no requests: its generations have no application")
        request: asyncio.Task[None] | None = asyncio.current_task()
        assert request is not None, "requests are answered in tasks"
        self._requests.add(request)
        self._leases += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._requests.discard(request)
            self.release()

    async def open(self, startup_timeout: float, marks: StartMarks | None) -> None:
        """Start the owning task and wait until it has entered the lifespan.

        Raises:
            StartupError: a plugin's `on_startup` failed; what had started is shut down again.
        """
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._own(started, startup_timeout, marks), name=f"generation-{self.number}")
        try:
            await asyncio.shield(started)
        except asyncio.CancelledError:
            await self.close()
            raise

    async def drain(self, bound: float) -> bool:
        """Wait at most `bound` seconds until nothing runs on it; then tell streams to end. Whether it became idle."""
        self._idle = asyncio.Event()
        if self._leases == 0:
            self._idle.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(bound):
                await self._idle.wait()
        self.closing.set()
        return self._leases == 0

    async def idle(self, bound: float) -> bool:
        """After `drain`: wait for the streams that were told to end. Whether none is left."""
        if self._idle is not None and self._leases:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(bound):
                    await self._idle.wait()
        return self._leases == 0

    def cut_off(self) -> None:
        """Cancel the requests that still run: streams that did not end when they were told to."""
        for request in self._requests:
            request.cancel()

    async def close(self) -> None:
        """Have the owning task exit the lifespan, and wait for it. Doing it twice changes nothing."""
        self.closing.set()
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _own(self, started: asyncio.Future[None], startup_timeout: float, marks: StartMarks | None) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(plugins_lifespan(self.registry, startup_timeout, marks))
                if self.app is not None:
                    await stack.enter_async_context(self.app.lifespan())
                started.set_result(None)
                await self._stop.wait()
        except Exception as error:
            if started.done():
                log.exception("generation.shutdown_failed", generation=self.number)
            else:
                started.set_exception(error)
        finally:
            if not started.done():
                started.cancel()


class GenerationHolder(Generic[A]):
    """The process's current generation, and the way to the next.

    `build` runs in a thread: it makes the application from a registry and touches nothing of the running one. `on_swap`
    is called in the event loop each time a generation becomes current. Times in seconds: `drain_timeout` is how long a
    retired generation's requests and streams may go on, `close_grace` what streams then have to end by themselves.
    `marks` notes which plugin starts, for the case that the process doesn't survive it.
    """

    def __init__(
        self,
        build: Callable[[Registry], A],
        *,
        on_swap: Callable[[Generation[A]], None] | None = None,
        drain_timeout: float = 30.0,
        close_grace: float = 5.0,
        startup_timeout: float = 30.0,
        marks: StartMarks | None = None,
    ) -> None:
        self._build = build
        self._on_swap = on_swap
        self._drain_timeout = drain_timeout
        self._close_grace = close_grace
        self._startup_timeout = startup_timeout
        self._marks = marks
        self._current: Generation[A] | None = None
        self._prepared: set[Generation[A]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._numbers = 0

    @property
    def current(self) -> Generation[A]:
        """The generation that takes new requests.

        Raises:
            RuntimeError: nothing was started yet.
        """
        if self._current is None:
            raise RuntimeError("no generation is running yet: await start() first")
        return self._current

    async def start(self, registry: Registry, *, without: Without | None = None) -> Generation[A]:
        """Build and run the first generation. `without` and errors: see `prepare`."""
        generation = await self.prepare(registry, without=without)
        self.activate(generation)
        return generation

    async def prepare(self, registry: Registry, *, without: Without | None = None) -> Generation[A]:
        """Build the next generation beside the running one and enter its lifespan. It takes no requests yet.

        Plugins that break the build or their own start-up are left out where `without` is given: it gives the registry
        without the plugins that it is told of (name → reason, all that failed so far), and runs in a thread.

        Raises:
            BuildError: the application could not be built.
            StartupError: a plugin's `on_startup` failed.
        """
        failed: dict[str, str] = {}
        while True:
            try:
                return await self._prepare(registry)
            except (StartupError, BuildError) as error:
                if without is None or not error.failed.keys() - failed.keys():
                    raise
                failed.update(error.failed)
                registry = await asyncio.to_thread(without, failed)

    async def _prepare(self, registry: Registry) -> Generation[A]:
        began = time.perf_counter()
        app = await asyncio.to_thread(self._build_guarded, registry)
        self._numbers += 1
        generation = Generation(self._numbers, registry, app)
        await generation.open(self._startup_timeout, self._marks)
        self._prepared.add(generation)
        log.info(
            "generation.prepared",
            generation=generation.number,
            plugins=[plugin.name for plugin in registry.plugins],
            ms=round((time.perf_counter() - began) * 1000),
        )
        return generation

    def activate(self, generation: Generation[A]) -> None:
        """Make a prepared generation the current one, at once; the old one drains and closes in the background."""
        self._prepared.remove(generation)
        old, self._current = self._current, generation
        if self._on_swap is not None:
            self._on_swap(generation)
        log.info("generation.active", generation=generation.number)
        if old is not None:
            task = asyncio.create_task(self._retire(old), name=f"retire-generation-{old.number}")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def discard(self, generation: Generation[A]) -> None:
        """Close a prepared generation that won't be activated."""
        self._prepared.discard(generation)
        await generation.close()

    async def close(self) -> None:
        """Close every generation, once the server takes no more requests; those that run may finish, as in a swap."""
        current, self._current = self._current, None
        for generation in list(self._prepared):
            await self.discard(generation)
        if current is not None:
            await self._retire(current)
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _retire(self, old: Generation[A]) -> None:
        if not await old.drain(self._drain_timeout) and not await old.idle(self._close_grace):
            log.warning("generation.cut_off", generation=old.number, leases=old.leases)
            old.cut_off()
        await old.close()
        log.info("generation.retired", generation=old.number)

    def _build_guarded(self, registry: Registry) -> A:
        try:
            return self._build(registry)
        except Exception as error:
            raise BuildError(self._blame(registry), describe(error)) from error

    def _blame(self, registry: Registry) -> dict[str, str]:
        """The plugins that can't even be built alone beside the kernel: name → reason. Run when the whole failed."""
        kernel = [plugin for plugin in registry.plugins if plugin.name == "kernel"]
        failed: dict[str, str] = {}
        for plugin in registry.plugins:
            if plugin.name == "kernel":
                continue
            try:
                self._build(msgspec.structs.replace(registry, plugins=(*kernel, plugin)))
            except Exception as error:  # noqa: BLE001  # whatever a plugin's routes raise is the plugin's failure
                place = raised_at(error, Path(plugin.folder))
                failed[plugin.name] = f"its routes can't be built: {describe(error)}{place}"
        return failed
