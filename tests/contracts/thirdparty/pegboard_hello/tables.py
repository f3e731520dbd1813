"""The table, as Piccolo sees it; what is queried is SQL, in the repository."""

from piccolo.columns import UUID, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "HelloGreeting")


class HelloGreeting(Table, tablename="hello_greetings"):
    """Something friendly, for an account. `gig_id` is set where a gig was the reason."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    gig_id = UUID(null=True, default=None)
    text = Text(null=False, default=None)
    delivered_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES = (HelloGreeting,)
