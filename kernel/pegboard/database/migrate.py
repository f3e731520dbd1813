"""Running migrations: Piccolo's migration modules and its record table, a runner of our own.

Piccolo's runner writes the record after the migration's own transaction and finds its engine through a global; here
record and migration commit together, on one connection that holds one advisory lock.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import asyncpg
import msgspec
import structlog
from pegboard_sdk.database import MIGRATION_CONNECTION

from pegboard.database.migrations import (
    HOW,
    KERNEL,
    App,
    Migration,
    MigrationError,
    in_order,
    kind_of,
    load_migrations,
)
from pegboard.database.objects import read_objects, record_changes
from pegboard.database.reach import reaching
from pegboard.database.roles import DatabaseSetupError
from pegboard.database.urls import OWNER

if TYPE_CHECKING:
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

__all__ = (
    "Applied",
    "MigrationReport",
    "MigrationState",
    "connect_as_owner",
    "migrate",
    "migrate_backwards",
    "migration_lock",
    "migration_states",
)

MIGRATION_LOCK = 7_306_086_921_600_002
LOCK_ATTEMPTS = 5
# Piccolo's own shape of this table, so that its tools can read it.
RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    id serial PRIMARY KEY,
    name varchar(200) NOT NULL DEFAULT '',
    app_name varchar(200) NOT NULL DEFAULT '',
    ran_on timestamp NOT NULL DEFAULT current_timestamp,
    UNIQUE (app_name, name)
);
GRANT SELECT ON migration TO pegboard_system;
"""
log = structlog.get_logger("pegboard.migrate")


class Applied(msgspec.Struct, frozen=True):
    """A migration that was run just now."""

    app: str
    id: str
    description: str


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was run, and the apps whose migrations failed, with the reason of each."""

    applied: Sequence[Applied]
    failed: Mapping[str, str]


class MigrationState(msgspec.Struct, frozen=True, kw_only=True):
    """A migration and whether it was run. `unknown`: it was, and its file isn't here (an older release runs again)."""

    app: str
    id: str
    description: str
    state: Literal["applied", "pending", "unknown", "unreadable"]
    applied_at: datetime | None = None


async def migrate(
    url: str,
    apps: Sequence[App],
    *,
    lock_timeout: float = 5.0,
    statement_timeout: float = 600.0,
    wait: float = 600.0,
) -> MigrationReport:
    """Run what is pending of the kernel's and then of each app's migrations, in the order given.

    `url` is the owner's or an administrator's, after `roles.bootstrap`. Any number of processes may call this at once:
    one works, the others wait up to `wait` seconds. `lock_timeout` bounds the wait for each lock on a table, so that
    requests don't queue behind a migration for long; it is tried again a few times. A failing app is reported and left
    as it was; the others go on. Times in seconds.

    Raises:
        MigrationError: one of the kernel's own failed; nothing works without them.
        DatabaseSetupError: the connection can't act as the owner, or the lock was not had in time.
    """
    applied: list[Applied] = []
    failed: dict[str, str] = {}
    async with migration_lock(url, lock_timeout, statement_timeout, wait) as connection:
        for app, migrations in in_order(apps):
            try:
                records = await _records(connection, app)
                for migration in load_migrations(app, migrations):
                    if migration.id not in records:
                        await _run(connection, migration, lock_timeout=lock_timeout)
                        applied.append(Applied(app, migration.id, migration.description))
                        log.info("migration.applied", app=app, id=migration.id, description=migration.description)
            except MigrationError as error:
                if app == KERNEL:
                    raise
                failed[app] = error.reason
                log.warning("migration.failed", app=app, reason=error.reason)
    return MigrationReport(applied=applied, failed=failed)


async def migrate_backwards(
    url: str,
    app: App | str,
    to: str | None = None,
    *,
    lock_timeout: float = 5.0,
    statement_timeout: float = 600.0,
    wait: float = 600.0,
) -> list[Applied]:
    """Undo an app's migrations that are newer than `to` (an id, which stays), newest first; without `to` all of them.

    Raises:
        MigrationError: one has no way back, failed, or its file isn't here.
        DatabaseSetupError: as in `migrate`.
    """
    name, migrations = (app, "") if isinstance(app, str) else (app.name, app.migrations)
    undone: list[Applied] = []
    async with migration_lock(url, lock_timeout, statement_timeout, wait) as connection:
        known = {migration.id: migration for migration in load_migrations(name, migrations)}
        for record in sorted(await _records(connection, name), reverse=True):
            if to is not None and record <= to:
                break
            if record not in known:
                raise MigrationError(name, f"{record} was run, and its file isn't here")
            await _run(connection, known[record], lock_timeout=lock_timeout, backwards=True)
            undone.append(Applied(name, record, known[record].description))
            log.info("migration.undone", app=name, id=record)
    return undone


async def migration_states(url: str, apps: Sequence[App]) -> list[MigrationState]:
    """All migrations of the kernel and the apps, and those on record of apps that aren't given. Changes nothing.

    Raises:
        DatabaseSetupError: the connection can't act as the owner.
    """
    with reaching(url):
        connection = await asyncpg.connect(url, server_settings={"application_name": "pegboard:migrate"})
    try:
        if await connection.fetchval("SELECT to_regclass('public.migration') IS NOT NULL"):
            await _become_owner(connection)
            rows = await connection.fetch("SELECT app_name, name, ran_on FROM public.migration ORDER BY app_name, name")
        else:
            rows = []
    finally:
        await connection.close()
    ran = {(row["app_name"], row["name"]): row["ran_on"] for row in rows}
    states: list[MigrationState] = []
    for app, migrations in in_order(apps):
        try:
            loaded = load_migrations(app, migrations)
        except MigrationError as error:
            states.append(MigrationState(app=app, id="", description=error.reason, state="unreadable"))
            continue
        for migration in loaded:
            at = ran.pop((app, migration.id), None)
            states.append(
                MigrationState(
                    app=app,
                    id=migration.id,
                    description=migration.description,
                    state="pending" if at is None else "applied",
                    applied_at=at,
                )
            )
    for (app, name), at in ran.items():
        states.append(MigrationState(app=app, id=name, description="", state="unknown", applied_at=at))
    return states


async def connect_as_owner(
    url: str, *, lock_timeout: float = 5.0, statement_timeout: float = 600.0
) -> asyncpg.Connection:
    """A connection that acts as the owner of all tables. Times in seconds, none where 0.

    Raises:
        DatabaseSetupError: the connection can't act as the owner.
    """
    connection = await asyncpg.connect(
        url,
        server_settings={
            "application_name": "pegboard:migrate",
            "lock_timeout": str(int(lock_timeout * 1000)),
            "statement_timeout": str(int(statement_timeout * 1000)),
            "search_path": "public",
            "timezone": "UTC",
        },
    )
    try:
        await _become_owner(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _become_owner(connection: asyncpg.Connection) -> None:
    """Whoever connects, the tables are the owner's: a superuser's would escape row-level security."""
    try:
        await connection.execute(f"SET ROLE {OWNER}")
    except (asyncpg.DataError, asyncpg.UndefinedObjectError, asyncpg.InsufficientPrivilegeError) as error:
        raise DatabaseSetupError(f"The role of database.url can't act as {OWNER} ({error}).") from error


@asynccontextmanager
async def migration_lock(
    url: str, lock_timeout: float = 5.0, statement_timeout: float = 600.0, wait: float = 600.0
) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner that holds the lock of all migrations, so that nobody else changes the schema.

    Closing it, in whatever way, gives it back. Times in seconds, as in `migrate`.

    Raises:
        DatabaseSetupError: the connection can't act as the owner, or the lock was not had in time.
        DatabaseUnreachable: no server answers.
    """
    connection = await connect_as_owner(url, lock_timeout=lock_timeout, statement_timeout=statement_timeout)
    try:
        deadline = asyncio.get_running_loop().time() + wait
        # Asking instead of waiting inside the server: a statement that waits there holds a snapshot, and an index that
        # whoever has the lock builds concurrently waits for all snapshots.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK):
            if asyncio.get_running_loop().time() > deadline:
                raise DatabaseSetupError(f"Another process has been migrating the database for {wait:.0f} s.")
            await asyncio.sleep(0.1)
        await connection.execute(RECORD_TABLE)
        yield connection
    finally:
        await connection.close()


async def _records(connection: asyncpg.Connection, app: str) -> set[str]:
    return {row["name"] for row in await connection.fetch("SELECT name FROM migration WHERE app_name = $1", app)}


async def _run(
    connection: asyncpg.Connection, migration: Migration, *, lock_timeout: float, backwards: bool = False
) -> None:
    """One migration with its record, in one transaction; again, when a table's lock was not had in time."""
    where = f"{migration.file.name}{' backwards' if backwards else ''}"
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            manager = _manager(migration, await migration.forwards())
            _check(migration, manager, backwards=backwards)
            async with connection.transaction():
                async with _recorded(connection, migration):
                    await _execute(connection, manager, backwards=backwards)
                if backwards:
                    # Piccolo deletes by name alone, which takes another app's record of the same id along.
                    await connection.execute(
                        "DELETE FROM migration WHERE app_name = $1 AND name = $2", migration.app, migration.id
                    )
                else:
                    await connection.execute(
                        "INSERT INTO migration (app_name, name) VALUES ($1, $2)", migration.app, migration.id
                    )
            return
        except MigrationError:
            raise
        except asyncpg.LockNotAvailableError as error:
            if attempt == LOCK_ATTEMPTS:
                raise MigrationError(migration.app, f"{where}: a table was in use for too long ({error})") from error
            await asyncio.sleep(min(0.5 * attempt, lock_timeout))
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
            raise
        except Exception as error:  # somebody else's code and SQL: whatever it raises is this app's failure
            raise MigrationError(migration.app, f"{where}: {error}") from error


def _manager(migration: Migration, given: object) -> "MigrationManager":
    """What a migration's `forwards` gave, if it is a manager of functions; anything else would do nothing, and be on
    record as run.
    """
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

    where = migration.file.name
    if not isinstance(given, MigrationManager):
        what = "nothing (is `return` missing?)" if given is None else kind_of(given)
        raise MigrationError(migration.app, f"{where}: its forwards() gives {what}: write {HOW}")
    if odd := [raw for raw in (*given.raw, *given.raw_backwards) if not callable(raw)]:
        what = f"its manager's add_raw was given {kind_of(odd[0])}, and takes a function"
        raise MigrationError(migration.app, f"{where}: {what}: write {HOW}")
    return given


def _check(migration: Migration, manager: "MigrationManager", *, backwards: bool) -> None:
    if manager.migration_id != migration.id:
        raise MigrationError(
            migration.app, f"{migration.file.name}: its ID is {migration.id}, its manager's {manager.migration_id!r}"
        )
    operations: tuple[Sequence[object], ...] = (
        manager.add_tables, manager.drop_tables, manager.rename_tables, manager.change_table_schemas,
        manager.add_columns.add_columns, manager.drop_columns.drop_columns, manager.rename_columns.rename_columns,
        manager.alter_columns.alter_columns, manager.add_constraints.add_constraints,
        manager.drop_constraints.drop_constraints,
    )  # fmt: skip
    if any(operations):
        raise MigrationError(
            migration.app,
            f"{migration.file.name} uses Piccolo's schema operations, which know nothing of row-level security:"
            " write it as SQL, with sql_migration",
        )
    if backwards and manager.raw and not manager.raw_backwards:
        raise MigrationError(migration.app, f"{migration.file.name} has no way back")


@asynccontextmanager
async def _recorded(connection: asyncpg.Connection, migration: Migration) -> AsyncIterator[None]:
    """Note what a plugin's migration makes and takes away, so that uninstalling the plugin can drop just that."""
    if migration.app == KERNEL:
        yield
        return
    before = await read_objects(connection)
    yield
    await record_changes(connection, migration.app, migration.id, before)


async def _execute(connection: asyncpg.Connection, manager: "MigrationManager", *, backwards: bool) -> None:
    token = MIGRATION_CONNECTION.set(connection)
    try:
        for raw in manager.raw_backwards if backwards else manager.raw:
            outcome = raw()
            if inspect.isawaitable(outcome):
                await outcome
    finally:
        MIGRATION_CONNECTION.reset(token)
