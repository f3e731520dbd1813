"""What every unit of work has: who acts, and what the enabled plugins offer."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import CapabilityDenied, ServiceMissing

from pegboard.capabilities.grants import Grant
from pegboard.capabilities.proxy import Proxy
from pegboard.capabilities.trail import Use
from pegboard.plugins.registry import Registry

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("KERNEL", "WorkContext")

KERNEL = "kernel"
"""Who acts where no plugin does: it may do everything."""

S = TypeVar("S")
T = TypeVar("T", bound=msgspec.Struct)
log = structlog.get_logger("pegboard.work")


class WorkContext:
    """`pegboard_sdk.work.Context`: who acts, and what the enabled plugins offer. `grant` is what `plugin` may use; the
    kernel has none.
    """

    __slots__ = ("caller", "grant", "plugin", "principal", "registry", "request_id", "runtime", "tenant_id")

    def __init__(
        self,
        runtime: "Runtime",
        registry: Registry,
        principal: Principal,
        request_id: str,
        *,
        plugin: str = KERNEL,
        caller: str | None = None,
    ) -> None:
        self.runtime = runtime
        self.registry = registry
        self.principal = principal
        self.tenant_id: UUID = principal.tenant_id
        self.request_id = request_id
        self.plugin = plugin
        self.caller = caller or plugin
        self.grant: Grant | None = None if plugin == KERNEL else registry.grants[plugin]

    def acting_as(self, plugin: str) -> Self:
        """A view of this unit of work in which the code of `plugin` acts, called by the plugin that acts here."""
        if plugin == self.plugin:
            return self
        view = object.__new__(type(self))
        for name in _slots(type(self)):
            setattr(view, name, getattr(self, name))
        view.plugin = plugin
        view.caller = self.plugin
        view.grant = None if plugin == KERNEL else self.registry.grants[plugin]
        return view

    def settings(self, type: type[T]) -> T:
        try:
            return self.registry.settings[type]  # type: ignore[return-value]  # keyed by its own type
        except KeyError:
            raise LookupError(f"no enabled plugin has the settings {type.__qualname__}") from None

    def service(self, protocol: type[S]) -> S:
        implementation = self.optional_service(protocol)
        if implementation is None:
            raise ServiceMissing(
                f"This needs the service {protocol.__name__}, and no enabled plugin offers it."
                " Ask the administrator to enable one."
            )
        return implementation

    def optional_service(self, protocol: type[S]) -> S | None:
        implementation = self.registry.services.get(protocol)
        if self.grant is not None and Proxy.owner(implementation) != self.plugin:
            try:
                self.grant.check_service(protocol)
            except CapabilityDenied as denied:
                raise self.refused(denied) from None
        return implementation

    def extensions(self, hook: str) -> Sequence[Any]:
        if self.grant is not None:
            try:
                self.grant.check_extensions(hook)
            except CapabilityDenied as denied:
                raise self.refused(denied) from None
        return self.registry.extensions.get(hook, ())

    def note_service(self, protocol: type, offered_by: str, method: str) -> None:
        """The acting plugin called a service's method. Here it is put on record by itself, and counted."""
        if self.plugin not in (KERNEL, offered_by):
            self.runtime.trail.note(
                self._use("service", protocol.__name__, {"offered_by": offered_by, "method": method})
            )

    def refused(self, denied: CapabilityDenied, what: str | None = None) -> CapabilityDenied:
        """Put a refusal on record, whatever becomes of this unit of work; gives the error to raise."""
        use = self._use(denied.kind, what or denied.what, {})
        self.runtime.trail.note(
            msgspec.structs.replace(use, outcome="refused", reason=f"not in the manifest of {denied.plugin}")
        )
        log.error("capability.denied", plugin=denied.plugin, kind=denied.kind, what=denied.what, error=str(denied))
        return denied

    def _use(self, kind: str, what: str, detail: Mapping[str, Any]) -> Use:
        return Use(
            principal=self.principal,
            request_id=self.request_id,
            action=f"kernel:{kind}.use",
            object_type=kind,
            object_id=what[:300],
            detail={"plugin": self.plugin, **detail},
        )


@cache
def _slots(kind: type) -> tuple[str, ...]:
    return tuple(name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))
