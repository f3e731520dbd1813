"""The queries of orders. Row-level security filters by tenant; only inserts name it."""
# ruff: noqa: S608  # texts of constants, put together; values are parameters

from functools import cache
from typing import Any, Literal
from uuid import UUID

from pegboard_sdk import Money, Record, UnitOfWork, new_id
from pegboard_sdk.pagination import fetch_page, json_time, page_sql

from pegboard_creation_studio.repository.fragments import price
from pegboard_creation_studio.schemas import Order

__all__ = (
    "Role",
    "get_order",
    "insert_delivery",
    "insert_order",
    "list_orders",
    "lock_order",
    "set_state",
    "to_order",
)

Role = Literal["buyer", "seller"]

COLUMNS = (
    "id, gig_id, gig_title, buyer_id, seller_id, escrow_id, state, price_amount, currency, delivery_days, note, due_at,"
    " created_at, updated_at"
)
SHOWN = f"""
    o.id, o.gig_id, o.gig_title, o.buyer_id, o.seller_id, o.escrow_id, o.state, {price("o")}, o.delivery_days, o.note,
    {json_time("o.due_at")} AS due_at, {json_time("o.created_at")} AS created_at,
    {json_time("o.updated_at")} AS updated_at"""

GET = f"""
SELECT row_to_json(item)::text FROM creation_studio_orders o, LATERAL (
    SELECT {SHOWN}, (
        SELECT coalesce(json_agg(delivery ORDER BY d.id), '[]')
        FROM creation_studio_order_deliveries d, LATERAL (
            SELECT d.id, d.message, {json_time("d.created_at")} AS created_at
        ) delivery
        WHERE d.tenant_id = o.tenant_id AND d.order_id = o.id
    ) AS deliveries
) item
WHERE o.id = $1 AND $2 IN (o.buyer_id, o.seller_id)
"""

INSERT = f"""
INSERT INTO creation_studio_orders (
    tenant_id, id, gig_id, buyer_id, seller_id, escrow_id, gig_title, price_amount, currency, delivery_days, note
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING {COLUMNS}
"""

LOCK = f"SELECT {COLUMNS} FROM creation_studio_orders WHERE id = $1 FOR UPDATE"

# The time to deliver runs from the payment.
SET_STATE = f"""
UPDATE creation_studio_orders
SET state = $2, due_at = CASE WHEN $2 = 'in_progress' THEN now() + delivery_days * interval '1 day' ELSE due_at END
WHERE id = $1 RETURNING {COLUMNS}
"""

INSERT_DELIVERY = """
INSERT INTO creation_studio_order_deliveries (tenant_id, id, order_id, message) VALUES ($1, $2, $3, $4)
"""


@cache
def list_sql(role: Role | None, *, after: bool) -> str:
    """The list of an account's orders, the last placed first. For both roles two indexes are read, each in order."""
    roles: tuple[Role, ...] = ("buyer", "seller") if role is None else (role,)
    rows = " UNION ALL ".join(
        f"(SELECT o.* FROM creation_studio_orders o WHERE o.{role}_id = $2{' AND o.id < $3' if after else ''}"
        " ORDER BY o.id DESC LIMIT 101)"
        for role in roles
    )
    return page_sql(
        f"SELECT item, o.id FROM ({rows}) o, LATERAL (SELECT {SHOWN}) item ORDER BY o.id DESC", keys=("id",)
    )


def to_order(row: Record) -> Order:
    """The answer of an order's row."""
    return Order(
        id=row["id"],
        gig_id=row["gig_id"],
        gig_title=row["gig_title"],
        buyer_id=row["buyer_id"],
        seller_id=row["seller_id"],
        escrow_id=row["escrow_id"],
        state=row["state"],
        price=Money(row["price_amount"], row["currency"]),
        delivery_days=row["delivery_days"],
        note=row["note"],
        due_at=row["due_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def insert_order(
    uow: UnitOfWork, order_id: UUID, *, offer: Record, buyer_id: UUID, escrow_id: UUID, note: str
) -> Record:
    """Add an order of a gig's `offer`, with the offer's terms."""
    row = await uow.fetchrow(
        INSERT,
        uow.tenant_id,
        order_id,
        offer["id"],
        buyer_id,
        offer["owner_id"],
        escrow_id,
        offer["title"],
        offer["price_amount"],
        offer["currency"],
        offer["delivery_days"],
        note,
    )
    assert row is not None
    return row


async def get_order(uow: UnitOfWork, order_id: UUID, *, account_id: UUID) -> str | None:
    """An order's JSON with its deliveries, if the account buys or sells it."""
    return await uow.fetchval(GET, order_id, account_id)


async def lock_order(uow: UnitOfWork, order_id: UUID) -> Record | None:
    """An order's row, locked until the transaction ends."""
    return await uow.fetchrow(LOCK, order_id)


async def set_state(uow: UnitOfWork, order_id: UUID, state: str) -> Record:
    """Put an order into a state; starting it sets when it is due."""
    row = await uow.fetchrow(SET_STATE, order_id, state)
    assert row is not None, "the row is locked by this transaction"
    return row


async def insert_delivery(uow: UnitOfWork, order_id: UUID, message: str) -> None:
    """Add to what was delivered."""
    await uow.execute(INSERT_DELIVERY, uow.tenant_id, new_id(), order_id, message)


async def list_orders(
    uow: UnitOfWork, account_id: UUID, *, role: Role | None, limit: int, after: tuple[Any, ...] | None
) -> bytes:
    """The JSON of a page of the orders that an account buys or sells, the last placed first."""
    return await fetch_page(uow, list_sql(role, after=after is not None), limit, account_id, *(after or ()))
