"""Greetings, on the real platform."""

from uuid import UUID

from pegboard_sdk.testing import TestKernel

GREETINGS = "/api/v1/hello/greetings"
GIGS = "/api/v1/creation_studio/gigs"


async def test_a_greeting_is_delivered(kernel: TestKernel, tenant: UUID) -> None:
    ada = await kernel.account(tenant)
    grace = await kernel.account(tenant, name="Grace")
    sent = await ada.client.post(GREETINGS, json={"account_id": str(grace.id), "text": "Hi!"})
    assert sent.status_code == 201, sent.text

    await kernel.drain()

    (greeting,) = (await grace.client.get(GREETINGS)).json()["items"]
    assert greeting["text"] == "Hi!"
    assert greeting["delivered_at"]


async def test_whoever_publishes_a_gig_is_congratulated(kernel: TestKernel, tenant: UUID) -> None:
    ada = await kernel.account(tenant)
    gig = {"title": "I will draw your logo", "price": {"amount": 5000, "currency": "EUR"}, "delivery_days": 3}
    drafted = await ada.client.post(GIGS, json=gig)
    await ada.client.post(f"{GIGS}/{drafted.json()['id']}/publish", headers={"If-Match": drafted.headers["ETag"]})

    await kernel.drain()

    (greeting,) = (await ada.client.get(GREETINGS)).json()["items"]
    assert (greeting["gig_id"], greeting["text"]) == (drafted.json()["id"], "Well done!")


async def test_nobody_greets_themselves(kernel: TestKernel, tenant: UUID) -> None:
    ada = await kernel.account(tenant)

    refused = await ada.client.post(GREETINGS, json={"account_id": str(ada.id), "text": "Hi!"})

    assert (refused.status_code, refused.json()["code"]) == (422, "hello.greeting_to_self")
    assert (await kernel.anonymous(tenant).get(GREETINGS)).status_code == 401
