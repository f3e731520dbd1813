"""The tables of authorization, as Piccolo sees them; their queries are SQL, in the repositories."""

from piccolo.columns import JSONB, UUID, BigInt, Boolean, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from pegboard.identity.tables import TransactionId

__all__ = (
    "TABLES",
    "KernelApproval",
    "KernelAuthorizationVersion",
    "KernelOverride",
    "KernelPermissionEdit",
    "KernelRole",
    "KernelSegregationRule",
)


class KernelAuthorizationVersion(Table, tablename="kernel_authorization_versions"):
    """How often a tenant decided something about authorization, and in which transaction last."""

    tenant_id = UUID(primary_key=True, default=None)
    version = BigInt(null=False, default=1)
    matrix_version = BigInt(null=False, default=0)
    changed_xid = TransactionId(null=False, default=None)
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelRole(Table, tablename="kernel_roles"):
    """A role of a tenant's own."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    name = Text(null=False, default=None)
    summary = Text(null=False, default=None)
    created_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelPermissionEdit(Table, tablename="kernel_permission_edits"):
    """A permission that a tenant gave a role, or took from it, against the plugins' defaults."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    role = Text(null=False, default=None)
    permission = Text(null=False, default=None)
    granted = Boolean(null=False, default=None)
    reason = Text(null=False, default=None)
    edited_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelOverride(Table, tablename="kernel_overrides"):
    """A role or permission that an account has for a while."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    role = Text(null=True, default=None)
    permission = Text(null=True, default=None)
    reason = Text(null=False, default=None)
    granted_by = UUID(null=True, default=None)
    expires_at = Timestamptz(null=False, default=None)
    ended_at = Timestamptz(null=True, default=None)
    ended_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelSegregationRule(Table, tablename="kernel_segregation_rules"):
    """Duties that a tenant keeps apart, beside those that plugins do."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    object_type = Text(null=True, default=None)
    first = Text(null=False, default=None)
    second = Text(null=False, default=None)
    summary = Text(null=False, default=None)
    created_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelApproval(Table, tablename="kernel_approvals"):
    """A request for a second person's approval."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    kind = Text(null=False, default=None)
    permission = Text(null=False, default=None)
    object_type = Text(null=False, default=None)
    object_id = Text(null=False, default=None)
    payload = JSONB(null=False, default=None)
    summary = Text(null=False, default=None)
    reason = Text(null=False, default=None)
    state = Text(null=False, default="pending")
    requested_by = UUID(null=True, default=None)
    expires_at = Timestamptz(null=False, default=None)
    decided_by = UUID(null=True, default=None)
    decided_at = Timestamptz(null=True, default=None)
    decision_reason = Text(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (
    KernelAuthorizationVersion,
    KernelRole,
    KernelPermissionEdit,
    KernelOverride,
    KernelSegregationRule,
    KernelApproval,
)
