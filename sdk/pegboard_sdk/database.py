"""Tables and migrations that a plugin brings (hook `piccolo_app`)."""

from collections.abc import Sequence

import msgspec
from piccolo.table import Table

__all__ = ("PiccoloApp", "protect_table")


class PiccoloApp(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the plugin's. `tables` are its Piccolo tables, named `<plugin>_<noun>`. `migrations` is the folder of its migration files
    as an importable package's sub-folder (`"pegboard_hello:migrations"`), or empty for built-in plugins, whose files are in `migrations/<plugin>/`.
    """

    name: str
    tables: Sequence[type[Table]]
    migrations: str = ""


def protect_table(table: str, *, privileges: str = "SELECT, INSERT, UPDATE, DELETE", shared: bool = False) -> str:
    """SQL for a migration that puts a tenant table under forced row-level security and grants `privileges` to the application.

    The table has a `tenant_id uuid` column. With `shared`, rows whose `tenant_id` is NULL can be read by every tenant and written by none.
    Call it in the migration that creates the table: `await manager.run_sql(protect_table("hello_greetings"))`… through `MigrationManager.add_raw`.
    """
    if not table.replace("_", "").isalnum():
        raise ValueError(f"not a table name: {table!r}")
    return f"SELECT kernel_protect_table('{table}', '{privileges}', {str(shared).lower()})"
