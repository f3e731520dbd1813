"""Tables and migrations that a plugin brings (hook `piccolo_app`)."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec
from piccolo.table import Table

from pegboard_sdk.dialect import PostgresDialect

if TYPE_CHECKING:
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

__all__ = ("PiccoloApp", "migration_connection", "protect_table", "sql_migration", "system_function")

MIGRATION_CONNECTION: ContextVar[Any] = ContextVar("pegboard_migration_connection")
"""Set by the kernel while a migration runs."""


class PiccoloApp(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin brings to the database.

    `name` is the plugin's. `tables` are its Piccolo tables, named `<plugin>_<noun>`. `migrations` is the folder of its
    migration files as an importable package's sub-folder (`"pegboard_hello:migrations"`), or empty for built-in
    plugins, whose files are in `migrations/<plugin>/`.

    Naming a table here makes it PostgreSQL's: its queries can be built, and are run with `uow.run(query)`.
    """

    name: str
    tables: Sequence[type[Table]]
    migrations: str = ""

    def __post_init__(self) -> None:
        dialect = PostgresDialect()
        for table in self.tables:
            table._meta.db = dialect


def protect_table(table: str, *, privileges: str = "SELECT, INSERT, UPDATE, DELETE", shared: bool = False) -> str:
    """SQL for a migration that puts a tenant table under forced row-level security.

    The table has a `tenant_id uuid` column, NOT NULL unless `shared`: then rows whose `tenant_id` is NULL can be read
    by every tenant and written by none. The application gets `privileges`, which may name columns (`"SELECT, INSERT,
    UPDATE (state)"`) or be empty. A column `updated_at` is kept by a trigger wherever an UPDATE doesn't set it. Use it
    in the migration that creates the table:

        sql_migration(…, forwards=("CREATE TABLE hello_greetings (…)", protect_table("hello_greetings")), …)
    """
    if not table.replace("_", "").isalnum():
        raise ValueError(f"not a table name: {table!r}")
    return f"SELECT kernel_protect_table('{table}', '{privileges}', {str(shared).lower()})"


def system_function(signature: str) -> str:
    """SQL for a migration that makes a function, which is there already, run as *system*, past row-level security.

    It must keep to the tenant itself: `WHERE tenant_id = (SELECT kernel_current_tenant())`. Full-text search needs
    this: `@@`, ILIKE and `@>` aren't leakproof, so under a policy PostgreSQL does not use GIN indexes for them.

        sql_migration(…, forwards=("CREATE FUNCTION hello_search(query text) …", system_function("hello_search(text)")))
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*\([a-z0-9_, \[\]]*\)", signature):
        raise ValueError(f"not a function's signature: {signature!r}")
    return (
        f"ALTER FUNCTION {signature} SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp;"
        f" ALTER FUNCTION {signature} OWNER TO pegboard_system"
    )


def migration_connection() -> Any:
    """The asyncpg connection of the migration that runs, in its transaction, for functions given to
    `MigrationManager.add_raw`.

    Raises:
        RuntimeError: no migration runs.
    """
    try:
        return MIGRATION_CONNECTION.get()
    except LookupError:
        raise RuntimeError("migrations are run by `pegboard migrate`") from None


def sql_migration(
    *, app: str, id: str, description: str, forwards: Sequence[str], backwards: Sequence[str]
) -> "MigrationManager":
    """A Piccolo migration of plain SQL. The statements run one after the other as the role `pegboard_owner`, in one
    transaction together with the record that the migration was run; `backwards` undoes `forwards`.

    Raises:
        TypeError: one of the two is no sequence of texts.
    """
    for name, statements in (("forwards", forwards), ("backwards", backwards)):
        if isinstance(statements, str):
            raise TypeError(f'{name} is one text: write a tuple of statements, {name}=("…",), with the comma')
        if odd := next((one for one in statements if not isinstance(one, str)), None):
            raise TypeError(f"{name} has {odd!r}, which is no SQL statement: each is a text")
    # Piccolo's migrations import a code formatter; whoever only asks for a plugin's tables shouldn't pay for it.
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

    manager = MigrationManager(migration_id=id, app_name=app, description=description)
    manager.add_raw(_run(forwards))
    manager.add_raw_backwards(_run(backwards))
    return manager


def _run(statements: Sequence[str]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        connection = migration_connection()
        for statement in statements:
            await connection.execute(statement)

    return run
