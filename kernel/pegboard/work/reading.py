"""A unit of work of plain reads."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pegboard_sdk.access import Principal

from pegboard.plugins.registry import Registry
from pegboard.work.absent import Busy, Ended
from pegboard.work.context import KERNEL
from pegboard.work.transaction import Work

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("ReadWork",)


class ReadWork(Work):
    """A unit of work of plain reads: no transaction, and a connection only once something is read."""

    __slots__ = ()

    def __init__(
        self, runtime: "Runtime", registry: Registry, principal: Principal, request_id: str, *, plugin: str = KERNEL
    ) -> None:
        super().__init__(None, runtime, registry, principal, request_id, plugin=plugin)

    async def _connect(self) -> Any:
        shared = self._shared
        shared.connection = connecting = Busy()
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
        if connection is not None and not isinstance(connection, Busy | Ended):
            await self.runtime.database.app.release(connection)
