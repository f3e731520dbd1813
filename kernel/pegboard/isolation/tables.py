"""The tables of looks at memory, as Piccolo sees them; their queries are SQL, in `memory_looks`."""

from piccolo.columns import JSONB, UUID, Array, DoublePrecision, ForeignKey, Integer, OnDelete, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelMemoryLook", "KernelMemoryReport")


class KernelMemoryLook(Table, tablename="kernel_memory_looks"):
    """Somebody wants to know whose code holds memory. `expected`: the processes that are to say so."""

    id = UUID(primary_key=True, default=None)
    seconds = DoublePrecision(null=False, default=None)
    expected = Array(base_column=UUID(), null=False, default=None)
    requested_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelMemoryReport(Table, tablename="kernel_memory_reports"):
    """What one process found."""

    id = UUID(primary_key=True, default=None)
    look_id = ForeignKey(references=KernelMemoryLook, on_delete=OnDelete.cascade, null=False)
    process = UUID(null=False, default=None)
    kind = Text(null=False, default=None)
    node = Text(null=False, default=None)
    pid = Integer(null=False, default=None)
    owners = JSONB(null=False, default=None)
    error = Text(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelMemoryLook, KernelMemoryReport)
