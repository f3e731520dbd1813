"""The tables of records, as Piccolo sees them; their queries are SQL."""

from piccolo.columns import UUID, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelRecordType", "KernelReferenceColumn", "KernelTombstone")


class KernelRecordType(Table, tablename="kernel_record_types"):
    """A kind of record that plugins may refer to, as its plugin declared it."""

    name = Text(primary_key=True, default=None)
    plugin = Text(null=False, default=None)
    relation = Text(null=False, default=None)
    key = Text(null=False, default=None)
    label = Text(null=False, default=None)
    deleted = Text(null=False, default=None)
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelReferenceColumn(Table, tablename="kernel_reference_columns"):
    """Where a plugin keeps references to others' records."""

    relation = Text(primary_key=True, default=None)
    attribute = Text(null=False, default=None)
    plugin = Text(null=False, default=None)
    record_type = Text(null=False, default="")
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelTombstone(Table, tablename="kernel_tombstones"):
    """What a record was called whose plugin was purged while others referred to it."""

    tenant_id = UUID(primary_key=True, default=None)
    reference = Text(null=False, default=None)
    label = Text(null=True, default=None)
    plugin = Text(null=False, default=None)
    purged_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelRecordType, KernelReferenceColumn, KernelTombstone)
