"""Connections that carry a tenant.

The tenant travels in `application_name` (`pegboard:<uuid>`), because PostgreSQL reports every change of it back:
what decides is what the *server* last reported, never what we remember having set. Row-level security reads the same
setting.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, Self
from uuid import UUID

import asyncpg
import structlog
from pegboard_sdk.errors import DomainError, Unavailable

from pegboard.config.model import Config
from pegboard.database.reach import reaching
from pegboard.database.urls import DatabaseUrls

__all__ = (
    "DATABASE_ERRORS",
    "TRANSACTION_ERRORS",
    "Connection",
    "Database",
    "Isolation",
    "TransactionFailed",
    "is_lost",
)

Isolation = Literal["read committed", "repeatable read", "serializable"]
SYSTEM_NAME = "pegboard:system"
DATABASE_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What using the database may raise while it is away. asyncpg's internal error is among it: a connection that the
server has just ended raises it when it is used in that moment.
"""
_BEGIN: dict[str, str] = {
    "read committed": "BEGIN READ WRITE",
    "repeatable read": "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
    "serializable": "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
}
log = structlog.get_logger("pegboard.database")


class TransactionFailed(Exception):
    """Nothing was committed: a statement had failed and its error was caught, or one changed the tenant."""


TRANSACTION_ERRORS = (*DATABASE_ERRORS, DomainError, TransactionFailed)
"""What acquiring a connection from a `Database`, or a transaction of it, may raise while the database is away."""


def is_lost(error: asyncpg.InterfaceError) -> bool:
    """Whether the error says that the connection or the pool is gone, rather than that it is used wrongly."""
    # The pool takes a connection back by itself when the server ends it.
    return "clos" in str(error) or "released back to the pool" in str(error)


class Connection(asyncpg.Connection):
    """asyncpg's connection without the round trip that resets the session at each release.

    Nothing needs it: `_reset` still rolls an open transaction back, and the tenant is checked at each use.
    """

    def get_reset_query(self) -> str:
        return ""

    @property
    def reported_name(self) -> str | None:
        """`application_name` as the server reported it last."""
        return getattr(self.get_settings(), "application_name", None)


class Database:
    """Two pools: *app* sees one tenant at a time through row-level security, *system* sees all and is the kernel's
    alone.

    On *app* connections transactions are read-only unless begun by `transaction`, so a plain read can't write.
    """

    def __init__(self, app: asyncpg.Pool, system: asyncpg.Pool, urls: DatabaseUrls, *, acquire_timeout: float) -> None:
        self.app = app
        self.system = system
        self.urls = urls
        self.acquire_timeout = acquire_timeout

    @classmethod
    async def open(cls, config: Config, *, pool_size: int | None = None, system_pool_size: int = 4) -> Self:
        """Connect both pools.

        Raises:
            OSError, asyncpg.PostgresError: the server can't be reached or refuses us.
        """
        urls = DatabaseUrls.from_config(config)
        settings = {
            "jit": "off",
            "statement_timeout": str(int(config.database.statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(config.database.statement_timeout * 2000)),
            "timezone": "UTC",
        }
        app = await cls._pool(
            urls.app,
            size=pool_size or config.database.pool_size,
            settings=settings | {"application_name": "pegboard", "default_transaction_read_only": "on"},
        )
        try:
            system = await cls._pool(
                urls.system, size=system_pool_size, settings=settings | {"application_name": SYSTEM_NAME}
            )
        except BaseException:
            app.terminate()
            raise
        return cls(app, system, urls, acquire_timeout=config.database.acquire_timeout)

    @staticmethod
    async def _pool(url: str, *, size: int, settings: dict[str, str]) -> asyncpg.Pool:
        with reaching(url):
            return await asyncpg.create_pool(
                url,
                min_size=min(2, size),
                max_size=size,
                max_inactive_connection_lifetime=0,
                connection_class=Connection,
                server_settings=settings,
                command_timeout=None,
            )

    async def close(self) -> None:
        """Close both pools; connections still in use get five seconds."""
        for pool in (self.app, self.system):
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except TimeoutError:
                log.warning("pool.terminated", reason="connections were still in use after 5 s")
                pool.terminate()

    async def acquire(self, pool: asyncpg.Pool) -> Any:
        """A connection of `pool`.

        Raises:
            Unavailable: none came free within the acquire time-out, or the server can't be reached.
        """
        try:
            # With a connection at hand there is nothing to wait for, and a time-out costs as much as the rest of this.
            return await (pool.acquire() if pool.get_idle_size() else pool.acquire(timeout=self.acquire_timeout))
        except TimeoutError as error:
            raise Unavailable("All database connections are busy. Try again in a moment.", retry_after=1) from error
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            log.error("database.unreachable", error=repr(error))
            raise Unavailable(
                "The database can't be reached now; nothing was changed. Try again in a moment."
            ) from error

    async def acquire_reader(self, tenant_id: UUID) -> Any:
        """A connection for plain reads as `tenant_id`, outside transactions. Give it back with `self.app.release`."""
        name = f"pegboard:{tenant_id}"
        connection = await self.acquire(self.app)
        if connection.reported_name != name:
            try:
                await connection.execute(f"SET application_name = '{name}'")
                if connection.reported_name != name:
                    raise Unavailable("The database did not take the tenant of this request. Try again.")
            except BaseException:
                connection.terminate()
                await self.app.release(connection)
                raise
        return connection

    @asynccontextmanager
    async def reader(self, tenant_id: UUID) -> AsyncIterator[Any]:
        """As `acquire_reader`, given back at the end of the block."""
        connection = await self.acquire_reader(tenant_id)
        try:
            yield connection
        finally:
            await self.app.release(connection)

    @asynccontextmanager
    async def transaction(
        self,
        tenant_id: UUID,
        *,
        session_id: UUID | None = None,
        isolation: Isolation = "read committed",
        closing: Sequence[str] = (),
    ) -> AsyncIterator[Any]:
        """A transaction as `tenant_id`: commits at the end of the block, rolls back on any exception, always gives the
        connection back.

        With `session_id` its first statement also checks that the session is not revoked. The tenant's UUID and the
        session's are put into the statement's text (a simple query takes no parameters); both are UUID objects, so
        the text holds only hex digits. `closing` are statements that the block may add to: they are sent together with
        COMMIT, so they cost no round trip, and an error of theirs rolls back.

        Raises:
            TransactionFailed: a failed statement's error was swallowed, so COMMIT rolled back.
            asyncpg.PostgresError: whatever the statements or the commit raise.
        """
        name = f"pegboard:{tenant_id}"
        begin = f"{_BEGIN[isolation]}; SET LOCAL application_name = '{name}'"
        if session_id is not None:
            begin += f"; SELECT kernel_require_session('{session_id}')"
        connection = await self.acquire(self.app)
        try:
            await connection.execute(begin)
            if connection.reported_name != name:
                raise Unavailable("The database did not take the tenant of this request. Try again.")
            yield connection
            if connection.reported_name != name:
                raise TransactionFailed("a statement changed the transaction's tenant: nothing was committed")
            if await connection.execute("; ".join((*closing, "COMMIT"))) != "COMMIT":
                raise TransactionFailed("a statement failed and its error was caught: nothing was committed")
        except BaseException:
            await self._abandon(connection)
            raise
        finally:
            await self.app.release(connection)

    @asynccontextmanager
    async def system_reader(self) -> AsyncIterator[Any]:
        """A connection that sees all tenants, outside transactions, for the kernel's own reading."""
        connection = await self.acquire(self.system)
        try:
            yield connection
        finally:
            await self.system.release(connection)

    @asynccontextmanager
    async def system_transaction(self) -> AsyncIterator[Any]:
        """A transaction that sees all tenants, for the kernel's own work."""
        connection = await self.acquire(self.system)
        try:
            await connection.execute("BEGIN")
            yield connection
            if await connection.execute("COMMIT") != "COMMIT":
                raise TransactionFailed("a statement failed and its error was caught: nothing was committed")
        except BaseException:
            await self._abandon(connection)
            raise
        finally:
            await self.system.release(connection)

    @staticmethod
    async def _abandon(connection: Any) -> None:
        """Roll back, or close the connection where even that can't be done (it broke, or the task is cancelled)."""
        if connection.is_closed():
            return
        try:
            async with asyncio.timeout(5):
                await connection.execute("ROLLBACK")
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # the first error is the one to report
            log.debug("rollback.failed", error=repr(error))
            connection.terminate()
