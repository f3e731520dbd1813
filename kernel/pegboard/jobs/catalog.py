"""What can run: the jobs and event handlers of a registry, by the name that their rows carry."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from pegboard_sdk.jobs import ExternalJob

from pegboard.plugins.registry import Registry

__all__ = ("Catalog", "Catalogs", "Fan", "Runnable")

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


class Catalogs:
    """The catalog of whatever registry is the active one now."""

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._registry = registry
        self._catalog = Catalog(registry())

    @property
    def current(self) -> Catalog:
        """The active registry's catalog, made anew when the generation changed."""
        registry = self._registry()
        if self._catalog.registry is not registry:
            self._catalog = Catalog(registry)
        return self._catalog
