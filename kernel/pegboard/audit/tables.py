"""The audit trail's tables, as Piccolo sees them; their queries are SQL, in the modules that own them."""

from piccolo.columns import JSONB, UUID, BigInt, Boolean, Bytea, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from pegboard.identity.tables import TransactionId

__all__ = ("TABLES", "KernelAuditEntry", "KernelAuditHead", "KernelAuditSeal", "KernelAuditSealer")


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
    xid = TransactionId(null=False, default=None)


class KernelAuditSeal(Table, tablename="kernel_audit_seals"):
    """An entry's place in its tenant's chain. Rows are added and never changed. The key is (tenant_id, number)."""

    tenant_id = UUID(null=False, default=None)
    number = BigInt(primary_key=True, null=False, default=None)
    entry_id = UUID(null=False, default=None)
    hash = Bytea(null=False, default=None)
    mac = Bytea(null=False, default=None)
    key_id = Text(null=False, default=None)
    sealed_at = Timestamptz(null=False, default=None)


class KernelAuditHead(Table, tablename="kernel_audit_heads"):
    """The last seal of a tenant's chain, signed."""

    tenant_id = UUID(primary_key=True, default=None)
    number = BigInt(null=False, default=None)
    hash = Bytea(null=False, default=None)
    mac = Bytea(null=False, default=None)
    key_id = Text(null=False, default=None)
    signed_at = Timestamptz(null=False, default=None)
    signature = Bytea(null=False, default=None)


class KernelAuditSealer(Table, tablename="kernel_audit_sealer"):
    """How far the sealer has come: one row, of the whole platform."""

    one = Boolean(primary_key=True, null=False, default=True)
    cluster = BigInt(null=False, default=None)
    horizon = TransactionId(null=False, default=None)


TABLES: tuple[type[Table], ...] = (KernelAuditEntry, KernelAuditSeal, KernelAuditHead, KernelAuditSealer)
