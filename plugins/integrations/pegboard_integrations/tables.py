"""The inbox."""

from piccolo.columns import UUID, Bytea, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "IntegrationsDelivery")


class IntegrationsDelivery(Table, tablename="integrations_deliveries"):
    """A webhook, as it came. The sender's delivery id is unique per provider."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    provider = Text(null=False, default=None)
    delivery_id = Text(null=False, default=None)
    event = Text(null=False, default=None)
    payload = Bytea(null=False, default=None)
    digest = Bytea(null=False, default=None)
    replays = Integer(null=False, default=0)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (IntegrationsDelivery,)
