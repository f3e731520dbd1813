"""The audit trail's table, as Piccolo sees it; its queries are SQL, in the modules that own them."""

from piccolo.columns import JSONB, UUID, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelAuditEntry")


class KernelAuditEntry(Table, tablename="kernel_audit_entries"):
    """Who did what to which object, or tried to. Rows are added and never changed."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    occurred_at = Timestamptz(null=False, default=TimestamptzNow())
    actor_kind = Text(null=False, default=None)
    actor_id = UUID(null=True, default=None)
    session_id = UUID(null=True, default=None)
    action = Text(null=False, default=None)
    object_type = Text(null=False, default=None)
    object_id = Text(null=True, default=None)
    before = JSONB(null=True, default=None)
    after = JSONB(null=True, default=None)
    outcome = Text(null=False, default="success")
    reason = Text(null=True, default=None)
    request_id = Text(null=False, default=None)


TABLES: tuple[type[Table], ...] = (KernelAuditEntry,)
