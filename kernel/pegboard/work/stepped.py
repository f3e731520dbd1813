"""A unit of work that calls out: a transaction per step."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pegboard_sdk.access import Principal

from pegboard.capabilities.outbound import OutboundHandle
from pegboard.database.pool import Isolation
from pegboard.plugins.registry import Registry
from pegboard.work.context import KERNEL, WorkContext
from pegboard.work.transaction import Work, transact

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("SteppedWork",)


class SteppedWork(WorkContext):
    """`pegboard_sdk.work.SteppedUnitOfWork`: a transaction per step."""

    __slots__ = ("_committing", "_steps", "isolation")

    def __init__(
        self,
        runtime: "Runtime",
        registry: Registry,
        principal: Principal,
        request_id: str,
        isolation: Isolation = "read committed",
        *,
        committing: Callable[[], None] | None = None,
        plugin: str = KERNEL,
    ) -> None:
        super().__init__(runtime, registry, principal, request_id, plugin=plugin)
        self.isolation: Isolation = isolation
        self._committing = committing
        self._steps: set[Work] = set()

    @property
    def outbound(self) -> OutboundHandle:
        return OutboundHandle(self)

    @property
    def is_stepping(self) -> bool:
        """Whether a step is open, in any view."""
        return bool(self._steps)

    @asynccontextmanager
    async def step(self, *, settles: bool = False) -> AsyncIterator[Work]:
        async with transact(
            self.runtime,
            self.registry,
            self.principal,
            self.request_id,
            isolation=self.isolation,
            check_session=not settles,
            committing=self._committing,
            plugin=self.plugin,
            caller=self.caller,
        ) as work:
            self._steps.add(work)
            try:
                yield work
            finally:
                self._steps.discard(work)
