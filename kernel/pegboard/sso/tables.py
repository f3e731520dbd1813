"""The tables of single sign-on, as Piccolo sees them; their queries are SQL."""

from piccolo.columns import JSONB, UUID, Bytea, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelSsoFlow", "KernelSsoIdentity", "KernelSsoProvider")


class KernelSsoProvider(Table, tablename="kernel_sso_providers"):
    """An identity provider that a tenant's administrator set up."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    name = Text(null=False, default=None)
    settings = JSONB(null=False, default=None)
    updated_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelSsoIdentity(Table, tablename="kernel_sso_identities"):
    """Who an account's owner is elsewhere."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    issuer = Text(null=False, default=None)
    subject = Text(null=False, default=None)
    provider = Text(null=False, default=None)
    email = Text(null=True, default=None)
    last_used_at = Timestamptz(null=False, default=TimestamptzNow())
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelSsoFlow(Table, tablename="kernel_sso_flows"):
    """A log-in on its way to a provider and back."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    provider = Text(null=False, default=None)
    stage = Text(null=False, default="begun")
    account_id = UUID(null=True, default=None)
    session_id = UUID(null=True, default=None)
    state_digest = Bytea(null=False, default=None)
    browser_digest = Bytea(null=True, default=None)
    code_challenge = Text(null=True, default=None)
    return_to = Text(null=False, default=None)
    redirect_uri = Text(null=False, default=None)
    code_digest = Bytea(null=True, default=None)
    proof = Bytea(null=True, default=None)
    expires_at = Timestamptz(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelSsoProvider, KernelSsoIdentity, KernelSsoFlow)
