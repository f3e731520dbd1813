"""Tables and migrations that a plugin brings (hook `piccolo_app`)."""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec
from piccolo.table import Table

if TYPE_CHECKING:
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

__all__ = ("PiccoloApp", "migration_connection", "protect_table", "sql_migration")

MIGRATION_CONNECTION: ContextVar[Any] = ContextVar("pegboard_migration_connection")
"""Set by the kernel while a migration runs."""


class PiccoloApp(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the plugin's. `tables` are its Piccolo tables, named `<plugin>_<noun>`. `migrations` is the folder of
    its migration files as an importable package's sub-folder (`"pegboard_hello:migrations"`), or empty for built-in
    plugins, whose files are in `migrations/<plugin>/`.
    """

    name: str
    tables: Sequence[type[Table]]
    migrations: str = ""


def protect_table(table: str, *, privileges: str = "SELECT, INSERT, UPDATE, DELETE", shared: bool = False) -> str:
    """SQL for a migration that puts a tenant table under forced row-level security and grants `privileges` to the
    application.

    The table has a `tenant_id uuid` column, NOT NULL unless `shared`: then rows whose `tenant_id` is NULL can be
    read by every tenant and written by none. `privileges` may name columns (`"SELECT, INSERT, UPDATE (state)"`) or
    be empty. A column `updated_at` is kept by a trigger wherever an UPDATE doesn't set it. Use it in the migration
    that creates the table:

        sql_migration(..., forwards=("CREATE TABLE hello_greetings (…)", protect_table("hello_greetings")), …)
    """
    if not table.replace("_", "").isalnum():
        raise ValueError(f"not a table name: {table!r}")
    return f"SELECT kernel_protect_table('{table}', '{privileges}', {str(shared).lower()})"


def migration_connection() -> Any:
    """The asyncpg connection of the migration that runs, in its transaction: for functions given to
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
    """
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
