"""A unit of work over one open transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.events import Event
from pegboard_sdk.jobs import ExternalJob, Job
from pegboard_sdk.settings import Secret

from pegboard.audit.writer import insert_entry
from pegboard.capabilities.proxy import Proxy
from pegboard.capabilities.trail import Use, write_uses
from pegboard.database.pool import Isolation
from pegboard.jobs.outbox import insert_event, insert_job
from pegboard.plugins.registry import Registry
from pegboard.vault.reader import read_secret
from pegboard.work.absent import Ended
from pegboard.work.context import KERNEL, WorkContext

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("Work", "transact")

log = structlog.get_logger("pegboard.work")


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
        personal: Collection[str] = (),
    ) -> None:
        await insert_entry(
            self.acting_as(KERNEL),
            action,
            object_type=object_type,
            object_id=object_id,
            before=before,
            after=after,
            personal=personal,
        )

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
        self._shared.connection = Ended()

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
