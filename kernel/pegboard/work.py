"""The kernel's unit of work: what a plugin's handler gets as `uow`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import ServiceMissing
from pegboard_sdk.events import Event
from pegboard_sdk.jobs import ExternalJob, Job
from pegboard_sdk.settings import Secret

from pegboard.audit.writer import insert_entry
from pegboard.database.pool import Isolation
from pegboard.jobs.outbox import insert_event, insert_job
from pegboard.plugins.registry import Registry
from pegboard.vault.reader import read_secret

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("ReadWork", "SteppedWork", "Work", "WorkContext", "transact")

S = TypeVar("S")
T = TypeVar("T", bound=msgspec.Struct)
log = structlog.get_logger("pegboard.work")


class WorkContext:
    """`pegboard_sdk.work.Context`: who acts, and what the enabled plugins offer."""

    __slots__ = ("principal", "registry", "request_id", "runtime", "tenant_id")

    def __init__(self, runtime: "Runtime", registry: Registry, principal: Principal, request_id: str) -> None:
        self.runtime = runtime
        self.registry = registry
        self.principal = principal
        self.tenant_id: UUID = principal.tenant_id
        self.request_id = request_id

    def settings(self, type: type[T]) -> T:
        try:
            return self.registry.settings[type]  # type: ignore[return-value]  # keyed by its own type
        except KeyError:
            raise LookupError(f"no enabled plugin has the settings {type.__qualname__}") from None

    def service(self, protocol: type[S]) -> S:
        implementation = self.registry.services.get(protocol)
        if implementation is None:
            raise ServiceMissing(
                f"This needs the service {protocol.__name__}, and no enabled plugin offers it."
                " Ask the administrator to enable one."
            )
        return implementation

    def optional_service(self, protocol: type[S]) -> S | None:
        return self.registry.services.get(protocol)

    def extensions(self, hook: str) -> Sequence[Any]:
        return self.registry.extensions.get(hook, ())


class Work(WorkContext):
    """`pegboard_sdk.work.UnitOfWork` over one open transaction."""

    __slots__ = ("_after_commit", "_savepoints", "connection")

    def __init__(
        self, connection: Any, runtime: "Runtime", registry: Registry, principal: Principal, request_id: str
    ) -> None:
        super().__init__(runtime, registry, principal, request_id)
        self.connection = connection
        self._after_commit: list[Callable[[], Awaitable[None]]] = []
        self._savepoints = 0

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        return await self.connection.execute(sql, *args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        await self.connection.executemany(sql, args)

    async def run(self, query: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for querystring in query.querystrings:
            sql, arguments = querystring.compile_string()
            rows = [dict(row) for row in await self.fetch(sql, *arguments)]
        return rows

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._savepoints += 1
        name = f"s{self._savepoints}"
        await self.connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            if not self.connection.is_closed():
                await self.connection.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        await self.connection.execute(f"RELEASE SAVEPOINT {name}")

    async def emit(self, event: Event) -> UUID:
        return await insert_event(self, event)

    async def enqueue(
        self, job: Job | ExternalJob, payload: msgspec.Struct, *, delay: float = 0.0, dedupe_key: str | None = None
    ) -> UUID | None:
        return await insert_job(self, job, payload, delay=delay, dedupe_key=dedupe_key)

    async def audit(
        self,
        action: str,
        *,
        object_type: str,
        object_id: UUID | str | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        await insert_entry(self, action, object_type=object_type, object_id=object_id, before=before, after=after)

    async def secret(self, name: str) -> Secret | None:
        return await read_secret(self, name)

    def after_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        self._after_commit.append(callback)

    async def committed(self) -> None:
        """Run what was to run after the commit. A failure there can't undo it: it is logged."""
        for callback in self._after_commit:
            try:
                await callback()
            except Exception:
                log.exception("after_commit.failed", request_id=self.request_id)
        self._after_commit.clear()


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

    def __init__(self, runtime: "Runtime", registry: Registry, principal: Principal, request_id: str) -> None:
        super().__init__(None, runtime, registry, principal, request_id)

    async def _connect(self) -> Any:
        self.connection = connecting = _Busy()
        try:
            connection = await self.runtime.database.acquire_reader(self.tenant_id)
        except BaseException:
            if self.connection is connecting:
                self.connection = None
            raise
        if self.connection is not connecting:  # released meanwhile, by a request that ended without waiting for us
            await self.runtime.database.app.release(connection)
            return self.connection
        self.connection = connection
        return connection

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await (self.connection or await self._connect()).fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        return await (self.connection or await self._connect()).fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        return await (self.connection or await self._connect()).fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        return await (self.connection or await self._connect()).execute(sql, *args)

    async def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        await (self.connection or await self._connect()).executemany(sql, args)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        raise RuntimeError("a read has no transaction, so no savepoint")
        yield

    async def release(self) -> None:
        """Give the connection back; nothing can be read any more."""
        connection, self.connection = self.connection, _Ended()
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
) -> AsyncIterator[Work]:
    """One unit of work: a transaction as the principal's tenant that commits at the end of the block; then its
    after-commit callbacks. It is refused where the principal's session has ended, unless `check_session` is off.
    `committing` is called just before the commit: from there on a failure may have happened after it.
    """
    database = runtime.database
    session_id = principal.session_id if check_session else None
    async with database.transaction(principal.tenant_id, session_id=session_id, isolation=isolation) as connection:
        work = Work(connection, runtime, registry, principal, request_id)
        try:
            yield work
        finally:
            work.connection = _Ended()
        if committing is not None:
            committing()
    await work.committed()


class SteppedWork(WorkContext):
    """`pegboard_sdk.work.SteppedUnitOfWork`: a transaction per step."""

    __slots__ = ("_committing", "isolation")

    def __init__(
        self,
        runtime: "Runtime",
        registry: Registry,
        principal: Principal,
        request_id: str,
        isolation: Isolation = "read committed",
        *,
        committing: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(runtime, registry, principal, request_id)
        self.isolation: Isolation = isolation
        self._committing = committing

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
        ) as work:
            yield work
