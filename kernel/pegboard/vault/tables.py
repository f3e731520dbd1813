"""The vault's table, as Piccolo sees it; its queries are SQL, in the modules that own them."""

from piccolo.columns import UUID, Bytea, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelSecret")


class KernelSecret(Table, tablename="kernel_secrets"):
    """A secret of a tenant, or of the platform where there is no tenant."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    name = Text(null=False, default=None)
    key_id = Text(null=False, default=None)
    envelope = Bytea(null=False, default=None, secret=True)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelSecret,)
