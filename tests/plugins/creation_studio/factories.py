"""Gigs and orders for tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from pegboard_sdk import new_id

from tests.support.platform import Account, TestPlatform

__all__ = (
    "GIGS",
    "ORDERS",
    "act",
    "draft",
    "draft_body",
    "fund",
    "insert_gigs",
    "pay",
    "place",
    "publish",
    "state_of",
    "walk",
)

GIGS = "/api/v1/creation_studio/gigs"
ORDERS = "/api/v1/creation_studio/orders"

INSERT = """
INSERT INTO creation_studio_gigs (
    tenant_id, id, owner_id, state, title, description, language, price_amount, currency, delivery_days, published_at
)
SELECT $1, gig.id, $2, 'published', gig.title, gig.description, 'en', 5000, 'EUR', 3, gig.published_at
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[]) AS gig (id, title, description, published_at)
"""


def draft_body(**changes: Any) -> dict[str, Any]:
    """What `POST /gigs` takes."""
    return {
        "title": "I will design your logo",
        "description": "Three drafts to choose from.",
        "price": {"amount": 12_500, "currency": "EUR"},
        "delivery_days": 5,
        **changes,
    }


async def draft(account: Account, **changes: Any) -> dict[str, Any]:
    """A draft of the account's, as it was answered."""
    response = await account.client.post(GIGS, json=draft_body(**changes))
    assert response.status_code == 201, response.text
    return response.json()


async def publish(account: Account, **changes: Any) -> dict[str, Any]:
    """A published gig of the account's, as it was answered."""
    gig = await draft(account, **changes)
    response = await account.client.post(f"{GIGS}/{gig['id']}/publish")
    assert response.status_code == 200, response.text
    return response.json()


async def insert_gigs(
    platform: TestPlatform,
    owner: Account,
    published_at: Sequence[datetime] | int,
    *,
    title: str = "Gig number {0}",
    description: str = "",
) -> list[UUID]:
    """Many published gigs at once, straight into the table; gives their ids. `{0}` in a text is the gig's place."""
    if isinstance(published_at, int):
        published_at = [datetime.now(UTC)] * published_at
    ids = [new_id() for _ in published_at]
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            INSERT,
            owner.tenant_id,
            owner.id,
            ids,
            [title.format(place) for place in range(len(ids))],
            [description.format(place) for place in range(len(ids))],
            published_at,
        )
    return ids


async def walk(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        response = await client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items
        assert page["items"], "a page with a next one is not empty"


async def place(buyer: Account, gig: dict[str, Any], **body: Any) -> dict[str, Any]:
    """An order of the gig, as it was answered."""
    response = await buyer.client.post(
        ORDERS, json={"gig_id": gig["id"], **body}, headers={"Idempotency-Key": new_id().hex}
    )
    assert response.status_code == 201, response.text
    return response.json()


async def pay(buyer: Account, order: dict[str, Any]) -> httpx.Response:
    """Pay for the order through finance's sandbox. Its event is still on its way."""
    return await buyer.client.post(
        f"/api/v1/finance/escrows/{order['escrow_id']}/fund",
        json={"provider": "sandbox", "method": "card_success"},
        headers={"Idempotency-Key": new_id().hex},
    )


async def fund(buyer: Account, order: dict[str, Any]) -> None:
    """Pay for the order, with success."""
    response = await pay(buyer, order)
    assert response.status_code == 200, response.text


async def act(account: Account, order: dict[str, Any], action: str) -> httpx.Response:
    """Deliver, accept or cancel the order as the account."""
    body = {"message": "Here it is."} if action == "deliver" else None
    return await account.client.post(
        f"{ORDERS}/{order['id']}/{action}", json=body, headers={"Idempotency-Key": new_id().hex}
    )


async def state_of(account: Account, order: dict[str, Any]) -> str:
    """The order's state, as the account sees it."""
    response = await account.client.get(f"{ORDERS}/{order['id']}")
    assert response.status_code == 200, response.text
    return response.json()["state"]
