"""What can run: the jobs and event handlers of a registry, by the name that their rows carry."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from pegboard_sdk.jobs import ExternalJob

from pegboard.plugins.registry import Registry

__all__ = ("Catalog", "Catalogs", "Fan", "Held", "Runnable", "Standing")

HANDLER_TIMEOUT = 60.0


class Runnable(msgspec.Struct, frozen=True, kw_only=True):
    """A job or an event handler. `timeout` in seconds; `external`: it takes a stepped unit of work."""

    name: str
    plugin: str
    payload: type[msgspec.Struct]
    run: Callable[[Any, Any], Awaitable[Any]]
    timeout: float
    external: bool


class Fan(msgspec.Struct, frozen=True):
    """The event handlers as parallel columns, for SQL."""

    events: Sequence[str]
    names: Sequence[str]
    plugins: Sequence[str]
    max_attempts: Sequence[int]


class Catalog:
    """The runnables of one registry. An event handler's rows are called `<event>/<handler>`."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        handlers = [(f"{event}/{h.name}", event, h) for event, found in registry.event_handlers.items() for h in found]
        self._runnables = {
            job.name: Runnable(
                name=job.name,
                plugin=registry.owners[job.name],
                payload=job.payload,
                run=job.run,
                timeout=job.timeout,
                external=isinstance(job, ExternalJob),
            )
            for job in registry.jobs.values()
        } | {
            name: Runnable(
                name=name,
                plugin=registry.owners[name],
                payload=handler.type,
                run=handler.handle,
                timeout=HANDLER_TIMEOUT,
                external=False,
            )
            for name, _, handler in handlers
        }
        self.names: list[str] = list(self._runnables)
        self.fan = Fan(
            [event for _, event, _ in handlers],
            [name for name, _, _ in handlers],
            [registry.owners[name] for name, _, _ in handlers],
            [handler.max_attempts for _, _, handler in handlers],
        )

    def get(self, name: str) -> Runnable | None:
        """What runs the rows called `name`; None where no enabled plugin has it."""
        return self._runnables.get(name)


class Held(Protocol):
    """A generation, or what stands for one: it is not shut down between `acquire` and `release`."""

    @property
    def registry(self) -> Registry: ...
    def acquire(self) -> None: ...
    def release(self) -> None: ...


class Standing:
    """A registry whose plugins are not shut down while this is used."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def acquire(self) -> None:
        """Nothing to keep."""

    def release(self) -> None:
        """Nothing was kept."""


class Catalogs:
    """The catalog of whatever generation is the active one now."""

    def __init__(self, generation: Callable[[], Held]) -> None:
        self._generation = generation
        self._catalog = Catalog(generation().registry)

    @property
    def current(self) -> Catalog:
        """The active generation's catalog."""
        return self._of(self._generation())

    @contextmanager
    def held(self) -> Iterator[Catalog]:
        """As `current`; the generation's plugins are not shut down before the end of the block."""
        generation = self._generation()
        generation.acquire()
        try:
            yield self._of(generation)
        finally:
            generation.release()

    def _of(self, generation: Held) -> Catalog:
        if self._catalog.registry is not generation.registry:
            self._catalog = Catalog(generation.registry)
        return self._catalog
