"""The plugin's tables, as Piccolo sees them; their queries are SQL, in the repository."""

from piccolo.columns import UUID, Array, BigInt, Column, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "Gig", "GigTag", "Order", "OrderDelivery")


class SearchDocument(Column):
    """What full-text search looks in (`tsvector`); PostgreSQL generates it from the row's other columns."""

    value_type = str

    @property
    def column_type(self) -> str:
        """PostgreSQL's name for it."""
        return "TSVECTOR"


class Gig(Table, tablename="creation_studio_gigs"):
    """A service that a provider offers."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    owner_id = UUID(null=False, default=None)
    state = Text(null=False, default="draft")
    title = Text(null=False, default=None)
    description = Text(null=False, default="")
    language = Text(null=False, default=None)
    price_amount = BigInt(null=False, default=None)
    currency = Text(null=False, default=None)
    delivery_days = Integer(null=False, default=None)
    category_id = UUID(null=True, default=None)
    category = Text(null=True, default=None)
    tags = Array(base_column=Text(), null=False, default=list)
    version = Integer(null=False, default=1)
    published_at = Timestamptz(null=True, default=None)
    deleted_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())
    document = SearchDocument(null=True, default=None)


class GigTag(Table, tablename="creation_studio_gig_tags"):
    """A term that a gig is tagged with."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    gig_id = UUID(null=False, default=None)
    term_id = UUID(null=False, default=None)
    slug = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class Order(Table, tablename="creation_studio_orders"):
    """A gig that somebody ordered, with the gig's terms as they were then."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    gig_id = UUID(null=False, default=None)
    buyer_id = UUID(null=False, default=None)
    seller_id = UUID(null=False, default=None)
    escrow_id = UUID(null=False, default=None)
    state = Text(null=False, default="pending_payment")
    gig_title = Text(null=False, default=None)
    price_amount = BigInt(null=False, default=None)
    currency = Text(null=False, default=None)
    delivery_days = Integer(null=False, default=None)
    note = Text(null=False, default="")
    due_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class OrderDelivery(Table, tablename="creation_studio_order_deliveries"):
    """Something that the seller delivered."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    order_id = UUID(null=False, default=None)
    message = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (Gig, GigTag, Order, OrderDelivery)
