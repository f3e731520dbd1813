"""The tables of uninstalling, as Piccolo sees them; their queries are SQL."""

from piccolo.columns import UUID, BigInt, Bytea, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelPluginObject", "KernelPluginReceipt")


class KernelPluginObject(Table, tablename="kernel_plugin_objects"):
    """Something in the database that a plugin's migration made."""

    number = BigInt(primary_key=True, default=None)
    plugin = Text(null=False, default=None)
    migration = Text(null=True, default=None)
    kind = Text(null=False, default=None)
    identity = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelPluginReceipt(Table, tablename="kernel_plugin_receipts"):
    """A signed statement of what was kept, exported or dropped."""

    id = UUID(primary_key=True, default=None)
    plugin = Text(null=False, default=None)
    action = Text(null=False, default=None)
    receipt = Text(null=False, default=None)
    key_id = Text(null=False, default=None)
    signature = Bytea(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelPluginObject, KernelPluginReceipt)
