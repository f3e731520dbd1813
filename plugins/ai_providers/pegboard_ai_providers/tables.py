"""The plugin's tables; their queries are SQL, in the repository."""

from piccolo.columns import UUID, BigInt, Boolean, Date, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "AiProvidersQuota", "AiProvidersUsage")


class AiProvidersUsage(Table, tablename="ai_providers_usage"):
    """One request to a model."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    provider = Text(null=False, default=None)
    model = Text(null=False, default=None)
    state = Text(null=False, default="reserved")
    day = Date(null=False, default=None)
    reserved_tokens = Integer(null=False, default=None)
    prompt_tokens = Integer(null=False, default=0)
    completion_tokens = Integer(null=False, default=0)
    estimated = Boolean(null=False, default=False)
    request_id = Text(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class AiProvidersQuota(Table, tablename="ai_providers_quotas"):
    """An account's tokens of one day."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    day = Date(null=False, default=None)
    used_tokens = BigInt(null=False, default=0)
    reserved_tokens = BigInt(null=False, default=0)
    exhausted_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (AiProvidersUsage, AiProvidersQuota)
