"""The breakers of one process: a plugin's each, for as long as its code stays the same."""

import time
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from pegboard.config.model import IsolationConfig
from pegboard.isolation.breaker import CALLED, Breaker, State
from pegboard.isolation.owners import Owners
from pegboard.plugins.registry import EMPTY, Registry
from pegboard.telemetry.metrics import Metrics

__all__ = ("Breakers",)

_GAUGE: Mapping[State, int] = {"closed": 0, "half_open": 1, "open": 2}
log = structlog.get_logger("pegboard.isolation")


class Breakers:
    """By plugin; the kernel's own routes and jobs have none. Used from the event loop."""

    def __init__(
        self, settings: IsolationConfig, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._versions: dict[str, str] = {}
        self.owners = Owners(EMPTY)
        """Whose code is where, of the plugins that run."""

    def get(self, plugin: str) -> Breaker | None:
        """A plugin's breaker; None for the kernel."""
        return self._breakers.get(plugin)

    def use(self, registry: Registry) -> None:
        """Go on with these plugins. One that was not on before, or had another version, begins closed."""
        versions = {one.name: one.manifest.version for one in registry.plugins if one.name != "kernel"}
        for name in self._breakers.keys() - versions.keys():
            del self._breakers[name]
            self._metrics.breaker_state.labels(name).set(0)
        for name, version in versions.items():
            if self._versions.get(name) != version:
                changed = partial(self._changed, name)
                self._breakers[name] = Breaker(self._settings, changed=changed, clock=self._clock)
                self._metrics.breaker_state.labels(name).set(0)
        self._versions = versions
        self.owners = Owners(registry)

    def called(self, plugin: str) -> None:
        """Somebody called a service of the plugin, or something else that it offers."""
        breaker = self._breakers.get(plugin)
        if breaker is not None:
            breaker.called()

    def states(self) -> dict[str, State]:
        """Those that are not closed."""
        return {name: breaker.state for name, breaker in self._breakers.items() if breaker.state != "closed"}

    def judge(
        self, error: BaseException, plugin: str, breaker: Breaker | None, ticket: int, *, timed_out: bool = False
    ) -> None:
        """Count what a call of `plugin` raised, where it is a plugin's fault: this one's, or that of another one whose
        service it had called. `breaker` and `ticket` are those that the call was let through with.
        """
        from pegboard.isolation.faults import find_fault  # redis is a third of a second of imports

        fault = find_fault(error, self.owners, plugin, timed_out=timed_out)
        if breaker is not None and fault is not None and fault[0] == plugin:
            breaker.failed(fault[1], ticket)
            return
        if breaker is not None:
            breaker.undecided(ticket)
        if fault is not None and (at_fault := self.get(fault[0])) is not None:
            at_fault.failed(fault[1], CALLED)

    def _changed(self, plugin: str, breaker: Breaker) -> None:
        self._metrics.breaker_state.labels(plugin).set(_GAUGE[breaker.state])
        self._metrics.breaker_transitions.labels(plugin, breaker.state).inc()
        cause = breaker.cause
        last = {} if cause is None else {"error": cause.error, "where": cause.place}
        if breaker.state == "open":
            calls, failures = breaker.counts
            seconds = round(breaker.open_for, 1)
            log.error("breaker.open", plugin=plugin, calls=calls, failures=failures, seconds=seconds, **last)
        elif breaker.state == "half_open":
            log.warning("breaker.half_open", plugin=plugin, probes=self._settings.probes)
        else:
            log.info("breaker.closed", plugin=plugin)
