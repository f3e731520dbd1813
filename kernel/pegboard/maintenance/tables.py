"""The table of maintenance mode."""

from piccolo.columns import UUID, Boolean, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelMaintenance")


class KernelMaintenance(Table, tablename="kernel_maintenance"):
    """One row, for the whole platform. The application's role may not use it."""

    id = Boolean(primary_key=True, null=False, default=True)
    since = Timestamptz(null=True, default=None)
    until = Timestamptz(null=True, default=None)
    message = Text(null=False, default="")
    holds_jobs = Boolean(null=False, default=False)
    changed_by = UUID(null=True, default=None)
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelMaintenance,)
