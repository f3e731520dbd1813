"""The tables of identity, as Piccolo sees them; their queries are SQL, in the repository."""

from piccolo.columns import UUID, Array, Bytea, Column, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = (
    "TABLES",
    "KernelAccount",
    "KernelOneTimeToken",
    "KernelRefreshToken",
    "KernelRoleGrant",
    "KernelSession",
    "KernelSigningKey",
)


class TransactionId(Column):
    """A PostgreSQL transaction id that never wraps around (`xid8`)."""

    value_type = str

    @property
    def column_type(self) -> str:
        return "XID8"


class KernelAccount(Table, tablename="kernel_accounts"):
    """A person in one marketplace, or a service account: a program's, with neither address nor password."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    kind = Text(null=False, default="person")
    email = Text(null=True, default=None)
    password_hash = Text(null=True, default=None, secret=True)
    display_name = Text(null=False, default=None)
    status = Text(null=False, default="active")
    email_verified_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelRoleGrant(Table, tablename="kernel_role_grants"):
    """A role that an account has."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    role = Text(null=False, default=None)
    granted_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelSession(Table, tablename="kernel_sessions"):
    """What authenticates: a log-in (the family of refresh tokens that came from it), an API key, a client's grant."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    kind = Text(null=False, default="log_in")
    label = Text(null=False, default="")
    user_agent = Text(null=False, default="")
    ip = Text(null=False, default="")
    expires_at = Timestamptz(null=False, default=None)
    revoked_at = Timestamptz(null=True, default=None)
    revoked_reason = Text(null=True, default=None)
    revoked_xid = TransactionId(null=True, default=None)
    last_used_at = Timestamptz(null=False, default=TimestamptzNow())
    authenticated_at = Timestamptz(null=False, default=TimestamptzNow())
    methods = Array(Text(), null=False, default=list)
    credential_id = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelRefreshToken(Table, tablename="kernel_refresh_tokens"):
    """A refresh token, by its digest. Its child is the token that it was exchanged for."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    session_id = UUID(null=False, default=None)
    parent_id = UUID(null=True, default=None)
    digest = Bytea(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)
    used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelOneTimeToken(Table, tablename="kernel_one_time_tokens"):
    """A token that was mailed to somebody, by its digest: it proves that they read mail to `email`."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    purpose = Text(null=False, default=None)
    email = Text(null=False, default=None)
    digest = Bytea(null=False, default=None)
    password_hash = Text(null=True, default=None, secret=True)
    display_name = Text(null=True, default=None)
    expires_at = Timestamptz(null=False, default=None)
    used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelSigningKey(Table, tablename="kernel_signing_keys"):
    """A key that signs access tokens; its private half is a vault envelope."""

    id = UUID(primary_key=True, default=None)
    kid = Text(null=False, default=None)
    public_key = Bytea(null=False, default=None)
    private_key = Bytea(null=False, default=None, secret=True)
    key_id = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    signs_from = Timestamptz(null=False, default=TimestamptzNow())
    retired_at = Timestamptz(null=True, default=None)
    verifies_until = Timestamptz(null=True, default=None)
    changed_xid = TransactionId(null=True, default=None)


TABLES: tuple[type[Table], ...] = (
    KernelAccount,
    KernelRoleGrant,
    KernelSession,
    KernelRefreshToken,
    KernelOneTimeToken,
    KernelSigningKey,
)
