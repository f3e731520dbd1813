"""The tables of machines, as Piccolo sees them; their queries are SQL, in the repository."""

from piccolo.columns import JSONB, UUID, Array, Bytea, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from pegboard.identity.tables import TransactionId

__all__ = ("TABLES", "KernelClientAssertion", "KernelMachineCredential")


class KernelMachineCredential(Table, tablename="kernel_machine_credentials"):
    """An API key, or what a client proves itself by. Its session has the same id."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    kind = Text(null=False, default=None)
    public_id = Text(null=False, default=None)
    digest = Bytea(null=True, default=None, secret=True)
    key_id = Text(null=True, default=None)
    public_key = JSONB(null=True, default=None)
    scopes = Array(Text(), null=False, default=None)
    rate = Integer(null=True, default=None)
    replaced_by = UUID(null=True, default=None)
    created_by = UUID(null=True, default=None)
    changed_xid = TransactionId(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelClientAssertion(Table, tablename="kernel_client_assertions"):
    """An assertion that a client has used, by the digest of its id."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    credential_id = UUID(null=False, default=None)
    digest = Bytea(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelMachineCredential, KernelClientAssertion)
