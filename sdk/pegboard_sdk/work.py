"""The unit of work: how a plugin reaches the database, events, jobs, audit, secrets and other plugins.

The kernel makes it, one per request or job, and hands it to handlers as `uow`. The kernel begins, commits and rolls
back; a plugin never does.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from pegboard_sdk.access import Principal
from pegboard_sdk.events import Event
from pegboard_sdk.jobs import ExternalJob, Job
from pegboard_sdk.outbound import Outbound
from pegboard_sdk.settings import Secret

__all__ = ("Context", "Record", "SteppedUnitOfWork", "UnitOfWork")

S = TypeVar("S")
T = TypeVar("T", bound=msgspec.Struct)
P = TypeVar("P", bound=msgspec.Struct)


class Record(Protocol):
    """A row: by column name or position."""

    def __getitem__(self, key: str | int) -> Any: ...
    def keys(self) -> Any: ...
    def values(self) -> Any: ...
    def get(self, key: str, default: Any = None) -> Any: ...


class Context(Protocol):
    """What is known without a transaction."""

    @property
    def principal(self) -> Principal:
        """Who acts."""
        ...

    @property
    def tenant_id(self) -> UUID:
        """The tenant (marketplace) whose rows can be seen: the principal's."""
        ...

    @property
    def request_id(self) -> str:
        """The id that the log, the problem documents and the audit share."""
        ...

    @property
    def plugin(self) -> str:
        """The plugin whose code acts: whose route, job or handler this is, or whose service was called with it. What it
        may use is what that plugin's manifest says.
        """
        ...

    @property
    def caller(self) -> str:
        """In a service's or an extension's method, the plugin that called it; else `plugin`."""
        ...

    def settings(self, type: type[T]) -> T:
        """The plugin's settings, by its settings Struct.

        Raises:
            LookupError: no enabled plugin has these settings.
        """
        ...

    def service(self, protocol: type[S]) -> S:
        """The implementation of a protocol of `pegboard_sdk.services` (or of a plugin's own).

        The method that is called with this unit of work gets a view of it that acts as the offering plugin, in the same
        transaction. Each use is on record.

        Raises:
            CapabilityDenied: the manifest does not list it in `capabilities.services`.
            ServiceMissing: no enabled plugin offers it (503 for the caller).
        """
        ...

    def optional_service(self, protocol: type[S]) -> S | None:
        """As `service`, and None where no enabled plugin offers it."""
        ...

    def extensions(self, hook: str) -> Sequence[Any]:
        """What the enabled plugins returned from a collecting hook such as `payment_providers`, in plugin order.

        Raises:
            CapabilityDenied: the plugin neither defines the hook nor lists it in `capabilities.extensions`.
        """
        ...


class UnitOfWork(Context, Protocol):
    """One transaction (or, in a GET, plain reads), seen through row-level security as the principal's tenant.

    SQL is PostgreSQL's with `$1` parameters; values are never put into the text. It may name the acting plugin's
    tables, views and functions, and begins with SELECT, INSERT, UPDATE, DELETE, MERGE, WITH, VALUES or LOCK: whatever
    else raises `CapabilityDenied`.
    """

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows."""
        ...

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """The first row, or None."""
        ...

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        ...

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; gives its command tag, such as `UPDATE 1`."""
        ...

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per row of arguments, in one round trip."""
        ...

    async def run(self, query: Any) -> list[dict[str, Any]]:
        """Run a Piccolo query (`Gig.select()…`) in this unit of work. For paths that aren't hot: building costs more
        than SQL text.
        """
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A savepoint: an exception inside rolls back to it and goes on to the caller."""
        ...

    async def emit(self, event: Event) -> UUID:
        """Write an event to the outbox, in this transaction. Gives the event's id."""
        ...

    async def enqueue(
        self, job: Job[P] | ExternalJob[P], payload: P, *, delay: float = 0.0, dedupe_key: str | None = None
    ) -> UUID | None:
        """Write a job, in this transaction; `delay` in seconds. Gives its id.

        While an unfinished job of the same name and tenant holds `dedupe_key`, nothing is written and None is given.
        """
        ...

    async def audit(
        self,
        action: str,
        *,
        object_type: str,
        object_id: UUID | str | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        personal: Collection[str] = (),
    ) -> None:
        """Write an audit entry, in this transaction. `action` is the permission used or `<plugin>:<noun>.<verb>`.

        `before` and `after` hold the changed fields only. Entries can't be changed, so secrets and personal data are
        covered: values of fields that are named like those (`api_key`, `email`, `display_name`, `phone`, `ip`, …),
        e-mail addresses anywhere in a text, and whatever is in a field that `personal` names, at any depth.
        """
        ...

    async def secret(self, name: str, *, of: object | None = None) -> Secret | None:
        """A secret from the vault by name (`<plugin>.<snake_case>`): the tenant's, else the platform's, else None. The
        reading is on record, once per unit of work.

        `of` is something that `extensions` gave, such as a connector: then the secret is one that it names (in its
        attribute `secret` or `secrets`), and it is of the plugin that brings it.

        Raises:
            CapabilityDenied: the manifest does not list it in `capabilities.secrets`.
        """
        ...

    def after_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call `callback` after the commit, before the answer is sent. It is not called if the transaction fails; its
        failure is logged.
        """
        ...


class SteppedUnitOfWork(Context, Protocol):
    """For routes and jobs that call out (`external=True`): transactions are opened in steps and none is open during a
    call.
    """

    @property
    def outbound(self) -> Outbound:
        """HTTP to other programs, to the hosts that the acting plugin's manifest lists."""
        ...

    def step(self, *, settles: bool = False) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction that commits at the end of the block and rolls back on an exception. Reserve → step ends → call
        → settle in another.

        A step is refused once the principal's session has ended. One that `settles` is not: it writes down the outcome
        of a call that was made, which stays true though somebody logged out meanwhile.
        """
        ...
