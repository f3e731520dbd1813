"""The tables of the HTTP layer."""

from piccolo.columns import UUID, Bytea, Timestamptz
from piccolo.table import Table

__all__ = ("TABLES", "IdempotencyKeyRow")


class IdempotencyKeyRow(Table, tablename="kernel_idempotency_keys"):
    """A key that was used, and the sealed answer."""

    tenant_id = UUID(null=False, primary_key=True)
    digest = Bytea(null=False)
    body_digest = Bytea(null=False)
    answer = Bytea(null=True)
    lease = UUID(null=True, default=None)
    leased_until = Timestamptz(null=True)
    created_at = Timestamptz(null=False)
    expires_at = Timestamptz(null=False)


TABLES: tuple[type[Table], ...] = (IdempotencyKeyRow,)
