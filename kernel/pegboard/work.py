"""The kernel's unit of work: what a plugin's handler gets as `uow`.

Each acts for one plugin and lets it use what its manifest asks for. A service's method gets a view that acts for the
offering plugin: another object over the same state, so that a transaction ends for all its views at once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import CapabilityDenied, ServiceMissing
from pegboard_sdk.events import Event
from pegboard_sdk.jobs import ExternalJob, Job
from pegboard_sdk.settings import Secret

from pegboard.audit.writer import insert_entry
from pegboard.capabilities.grants import Grant
from pegboard.capabilities.outbound import OutboundHandle
from pegboard.capabilities.proxy import Proxy
from pegboard.capabilities.trail import Use, write_uses
from pegboard.database.pool import Isolation
from pegboard.jobs.outbox import insert_event, insert_job
from pegboard.plugins.registry import Registry
from pegboard.vault.reader import read_secret

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("KERNEL", "ReadWork", "SteppedWork", "Work", "WorkContext", "transact")

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


class _Transaction:
    """What all views of one unit of work share."""

    __slots__ = ("after_commit", "connection", "savepoints", "uses", "views")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.after_commit: list[Callable[[], Awaitable[None]]] = []
        self.savepoints = 0
        self.uses: dict[tuple[Any, ...], Use] = {}
        self.views: dict[tuple[str, str], Any] = {}


class Work(WorkContext):
    """`pegboard_sdk.work.UnitOfWork` over one open transaction."""

    __slots__ = ("_good", "_shared")

    def __init__(
        self,
        connection: Any,
        runtime: "Runtime",
        registry: Registry,
        principal: Principal,
        request_id: str,
        *,
        plugin: str = KERNEL,
        caller: str | None = None,
    ) -> None:
        super().__init__(runtime, registry, principal, request_id, plugin=plugin, caller=caller)
        self._shared = _Transaction(connection)
        # Looked at before each statement, so it is at hand here.
        self._good = None if self.grant is None else self.grant.statements.good

    @property
    def connection(self) -> Any:
        """The connection, or what stands in its place when there is none."""
        return self._shared.connection

    @connection.setter
    def connection(self, connection: Any) -> None:
        self._shared.connection = connection

    def acting_as(self, plugin: str) -> Self:
        if plugin == self.plugin:
            return self
        views = self._shared.views
        view = views.get((plugin, self.plugin))
        if view is None:
            view = views[plugin, self.plugin] = super().acting_as(plugin)
            view._good = None if view.grant is None else view.grant.statements.good
        return view

    def _judge(self, sql: str) -> None:
        """Judge a text that was not judged before."""
        assert self.grant is not None
        try:
            self.grant.statements.check(sql)
        except CapabilityDenied as denied:
            raise self.refused(denied) from None

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await self._shared.connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await self._shared.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await self._shared.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await self._shared.connection.execute(sql, *args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        await self._shared.connection.executemany(sql, args)

    async def run(self, query: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for querystring in query.querystrings:
            sql, arguments = querystring.compile_string()
            rows = [dict(row) for row in await self.fetch(sql, *arguments)]
        return rows

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._shared.savepoints += 1
        name = f"s{self._shared.savepoints}"
        await self.connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            if not self.connection.is_closed():
                await self.connection.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        await self.connection.execute(f"RELEASE SAVEPOINT {name}")

    async def emit(self, event: Event) -> UUID:
        return await insert_event(self.acting_as(KERNEL), event)

    async def enqueue(
        self, job: Job | ExternalJob, payload: msgspec.Struct, *, delay: float = 0.0, dedupe_key: str | None = None
    ) -> UUID | None:
        return await insert_job(self.acting_as(KERNEL), job, payload, delay=delay, dedupe_key=dedupe_key)

    async def audit(
        self,
        action: str,
        *,
        object_type: str,
        object_id: UUID | str | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        kernel = self.acting_as(KERNEL)
        await insert_entry(kernel, action, object_type=object_type, object_id=object_id, before=before, after=after)

    async def secret(self, name: str, *, of: object | None = None) -> Secret | None:
        owner = Proxy.owner(of)
        if owner is not None and owner != self.plugin:
            named = (getattr(of, "secret", None), *getattr(of, "secrets", ()))
            if name not in named:
                raise LookupError(f"{of!r} names no secret {name!r}, so it can't be read for it")
            return await self.acting_as(owner).secret(name)
        if self.grant is not None:
            try:
                self.grant.check_secret(name)
            except CapabilityDenied as denied:
                raise self.refused(denied) from None
            key = (self.plugin, "secret", name)
            if key not in self._shared.uses:
                detail = {} if self.caller == self.plugin else {"caller": self.caller}
                self._shared.uses[key] = self._use("secret", name, detail)
        return await read_secret(self.acting_as(KERNEL), name)

    def note_service(self, protocol: type, offered_by: str, method: str) -> None:
        if self.plugin in (KERNEL, offered_by):
            return
        name = protocol.__name__
        use = self._shared.uses.setdefault(
            (self.plugin, "service", name), self._use("service", name, {"offered_by": offered_by, "methods": []})
        )
        if method not in use.detail["methods"]:
            use.detail["methods"].append(method)

    async def record_uses(self) -> None:
        """Put on record, in the transaction, what plugins used in it. Call it before the commit."""
        if self._shared.uses:
            await write_uses(self._shared.connection, list(self._shared.uses.values()))

    def note_uses(self) -> None:
        """Put on record what was used where there is no transaction, or it was rolled back: a secret stays read."""
        uses, self._shared.uses = self._shared.uses, {}
        for use in uses.values():
            self.runtime.trail.note(use)

    def ended(self) -> None:
        """The connection is given back: no view can use it any more."""
        self._shared.connection = _Ended()

    def after_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        self._shared.after_commit.append(callback)

    async def committed(self) -> None:
        """Run what was to run after the commit. A failure there can't undo it: it is logged."""
        self._shared.uses.clear()
        for callback in self._shared.after_commit:
            try:
                await callback()
            except Exception:
                log.exception("after_commit.failed", request_id=self.request_id)
        self._shared.after_commit.clear()


class _Ended:
    """In place of a connection that was given back: a stream, or a task left behind, must not use it any more."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("the unit of work has ended: read before an answer begins that comes in pieces")


class _Busy:
    """In place of a connection that is being acquired: one connection does one thing at a time."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("a unit of work reads one thing at a time: await each query before the next (no gather)")


class ReadWork(Work):
    """A unit of work of plain reads: no transaction, and a connection only once something is read."""

    __slots__ = ()

    def __init__(
        self, runtime: "Runtime", registry: Registry, principal: Principal, request_id: str, *, plugin: str = KERNEL
    ) -> None:
        super().__init__(None, runtime, registry, principal, request_id, plugin=plugin)

    async def _connect(self) -> Any:
        shared = self._shared
        shared.connection = connecting = _Busy()
        try:
            connection = await self.runtime.database.acquire_reader(self.tenant_id)
        except BaseException:  # a cancellation too: the next read connects anew. It goes on from here
            if shared.connection is connecting:
                shared.connection = None
            raise
        if shared.connection is not connecting:  # released meanwhile, by a request that ended without waiting for us
            await self.runtime.database.app.release(connection)
            return shared.connection
        shared.connection = connection
        return connection

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await (self._shared.connection or await self._connect()).fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await (self._shared.connection or await self._connect()).fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await (self._shared.connection or await self._connect()).fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        return await (self._shared.connection or await self._connect()).execute(sql, *args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        if self._good is not None and sql not in self._good:
            self._judge(sql)
        await (self._shared.connection or await self._connect()).executemany(sql, args)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        raise RuntimeError("a read has no transaction, so no savepoint")
        yield

    async def release(self) -> None:
        """Give the connection back; nothing can be read any more."""
        connection = self._shared.connection
        self.ended()
        self.note_uses()
        if connection is not None and not isinstance(connection, _Busy | _Ended):
            await self.runtime.database.app.release(connection)


@asynccontextmanager
async def transact(
    runtime: "Runtime",
    registry: Registry,
    principal: Principal,
    request_id: str,
    *,
    isolation: Isolation = "read committed",
    check_session: bool = True,
    committing: Callable[[], None] | None = None,
    plugin: str = KERNEL,
    caller: str | None = None,
) -> AsyncIterator[Work]:
    """One unit of work: a transaction as the principal's tenant that commits at the end of the block; then its
    after-commit callbacks. `plugin` acts. It is refused where the principal's session has ended, unless
    `check_session` is off. `committing` is called just before the commit: from there on a failure may have happened
    after it.
    """
    database = runtime.database
    session_id = principal.session_id if check_session else None
    work: Work | None = None
    try:
        async with database.transaction(principal.tenant_id, session_id=session_id, isolation=isolation) as connection:
            work = Work(connection, runtime, registry, principal, request_id, plugin=plugin, caller=caller)
            try:
                yield work
                await work.record_uses()
            finally:
                work.ended()
            if committing is not None:
                committing()
    except BaseException:  # a cancellation too: what was used before it stays on record. It goes on from here
        if work is not None:
            work.note_uses()
        raise
    await work.committed()


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
