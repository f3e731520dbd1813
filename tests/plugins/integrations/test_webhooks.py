"""Webhooks: proven by their signature, taken in once, replayed on purpose."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.vault.store import SecretStore
from pegboard_integrations.errors import DeliveryUnreadable, SignatureInvalid
from pegboard_integrations.github import GitHub
from pegboard_sdk import Secret, new_id

from tests.support.platform import Account, TestPlatform

SECRET = "It's a Secret to Everybody"
PATH = "/api/v1/integrations/webhooks/github"
PUSH = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}, "note": "süß"}).encode()


def signed(body: bytes, *, secret: str = SECRET, delivery: str | None = None, event: str = "push") -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery or str(new_id()),
        "x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


@pytest.fixture
async def shop(platform: TestPlatform, tenant: UUID) -> httpx.AsyncClient:
    """Whoever sends to a marketplace that has the secret."""
    await store_secret(platform, tenant)
    return platform.anonymous(tenant)


@pytest.fixture
async def administrator(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant, ("member", "administrator"))


async def store_secret(platform: TestPlatform, tenant: UUID) -> None:
    actor = platform.system(tenant)
    async with platform.runtime.database.system_transaction() as connection:
        store = SecretStore(connection, platform.runtime.vault, actor=actor, request_id="test")
        await store.set(GitHub.secret, Secret(SECRET), tenant_id=tenant)


async def deliveries(administrator: Account) -> list[dict[str, object]]:
    response = await administrator.client.get("/api/v1/integrations/deliveries")
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def emitted(platform: TestPlatform, tenant: UUID) -> int:
    async with platform.runtime.database.system_transaction() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM kernel_events WHERE tenant_id = $1 AND name = 'integrations.webhook_received'", tenant
        )


async def test_a_signed_webhook_is_taken_in_once_though_sent_twice(
    platform: TestPlatform, tenant: UUID, shop: httpx.AsyncClient, administrator: Account
):
    headers = signed(PUSH)
    first = await shop.post(PATH, content=PUSH, headers=headers)
    second = await shop.post(PATH, content=PUSH, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["status"] == "accepted"
    assert second.json() == {"id": first.json()["id"], "status": "duplicate"}
    assert len(await deliveries(administrator)) == 1
    assert await emitted(platform, tenant) == 1


async def test_sent_many_times_at_once_it_is_taken_in_once(
    platform: TestPlatform, tenant: UUID, shop: httpx.AsyncClient, administrator: Account
):
    headers = signed(PUSH)
    answers = await asyncio.gather(*(shop.post(PATH, content=PUSH, headers=headers) for _ in range(6)))
    assert sorted(answer.json()["status"] for answer in answers) == ["accepted"] + ["duplicate"] * 5
    assert await emitted(platform, tenant) == 1


@pytest.mark.parametrize("wrong", ["", "sha256=", "sha256=" + "0" * 64, "sha1=abc", "süß"])
async def test_a_wrong_signature_is_refused_and_nothing_is_kept(
    shop: httpx.AsyncClient, administrator: Account, wrong: str
):
    headers = {**signed(PUSH), "x-hub-signature-256": wrong}
    answer = await shop.post(PATH, content=PUSH, headers={k: v.encode() for k, v in headers.items()})  # type: ignore[arg-type]  # bytes are fine
    assert answer.status_code == 401
    assert answer.json()["code"] == "integrations.signature_invalid"
    assert await deliveries(administrator) == []


async def test_the_signature_is_over_the_raw_body(shop: httpx.AsyncClient):
    """The same JSON with other white space is another body."""
    other = json.dumps(json.loads(PUSH), indent=1).encode()
    assert (await shop.post(PATH, content=other, headers=signed(PUSH))).status_code == 401
    assert (await shop.post(PATH, content=other, headers=signed(other))).status_code == 202


async def test_an_id_that_comes_again_with_another_content_is_a_conflict(shop: httpx.AsyncClient):
    delivery = str(new_id())
    assert (await shop.post(PATH, content=PUSH, headers=signed(PUSH, delivery=delivery))).status_code == 202
    answer = await shop.post(PATH, content=b"{}", headers=signed(b"{}", delivery=delivery))
    assert answer.status_code == 409
    assert answer.json()["code"] == "integrations.delivery_id_reused"


async def test_signed_and_unreadable_is_a_422(shop: httpx.AsyncClient):
    for body, headers in (
        (b"payload=%7B%7D", {}),
        (b"[]", {}),
        (PUSH, {"x-github-event": ""}),
        (PUSH, {"x-github-delivery": ""}),
    ):
        answer = await shop.post(PATH, content=body, headers={**signed(body), **headers})
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] == "integrations.delivery_unreadable"


async def test_without_a_secret_nothing_is_taken_in(platform: TestPlatform, tenant: UUID):
    answer = await platform.anonymous(tenant).post(PATH, content=PUSH, headers=signed(PUSH))
    assert answer.status_code == 503
    assert answer.json()["code"] == "integrations.connector_not_set_up"


async def test_an_unknown_sender_is_a_404(shop: httpx.AsyncClient):
    answer = await shop.post("/api/v1/integrations/webhooks/nobody", content=PUSH, headers=signed(PUSH))
    assert answer.json()["code"] == "integrations.connector_not_found"


async def test_a_replay_takes_effect_again_and_is_audited(
    platform: TestPlatform, tenant: UUID, shop: httpx.AsyncClient, administrator: Account
):
    received = (await shop.post(PATH, content=PUSH, headers=signed(PUSH))).json()
    path = f"/api/v1/integrations/deliveries/{received['id']}"
    detail = (await administrator.client.get(path)).json()
    assert detail["payload"] == json.loads(PUSH)
    assert detail["event"] == "push"
    replayed = await administrator.client.post(f"{path}/replay")
    assert replayed.status_code == 202
    assert replayed.json()["replays"] == 1
    assert await emitted(platform, tenant) == 2
    action = {"action": "integrations:delivery.replay"}
    trail = await administrator.client.get("/api/v1/governance/audit", params=action)
    assert [entry["object_id"] for entry in trail.json()["items"]] == [received["id"]]


async def test_only_administrators_see_what_came_in(
    platform: TestPlatform, tenant: UUID, shop: httpx.AsyncClient, administrator: Account
):
    received = (await shop.post(PATH, content=PUSH, headers=signed(PUSH))).json()
    member = await platform.account(tenant)
    elsewhere = await platform.account(await platform.tenant(), ("member", "administrator"))
    path = f"/api/v1/integrations/deliveries/{received['id']}"
    assert (await member.client.get(path)).status_code == 403
    assert (await elsewhere.client.get(path)).status_code == 404
    assert (await elsewhere.client.post(f"{path}/replay")).status_code == 404


async def test_pages_show_each_delivery_once(shop: httpx.AsyncClient, administrator: Account):
    sent = [(await shop.post(PATH, content=PUSH, headers=signed(PUSH))).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await administrator.client.get("/api/v1/integrations/deliveries", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sent[::-1]


async def test_connectors_say_what_is_missing(platform: TestPlatform, tenant: UUID, administrator: Account):
    path = "/api/v1/integrations/connectors"
    (github,) = (await administrator.client.get(path)).json()["items"]
    assert github["ready"] is False
    await store_secret(platform, tenant)
    (github,) = (await administrator.client.get(path)).json()["items"]
    assert github == {"name": "github", "url": PATH, "secret": GitHub.secret, "ready": True}


async def test_old_deliveries_are_removed(
    platform: TestPlatform, tenant: UUID, shop: httpx.AsyncClient, administrator: Account
):
    from pegboard_integrations.jobs import DELETE_OLD_DELIVERIES, Nothing

    old, young = [(await shop.post(PATH, content=PUSH, headers=signed(PUSH))).json()["id"] for _ in range(2)]
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE integrations_deliveries SET created_at = now() - interval '91 days' WHERE id = $1", UUID(old)
        )
    async with platform.work(platform.system(tenant)) as uow:
        await uow.enqueue(DELETE_OLD_DELIVERIES, Nothing())
    await platform.drain()
    assert [item["id"] for item in await deliveries(administrator)] == [young]


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=200))
def test_no_other_body_fits_a_signature(body: bytes, other: bytes):
    headers = signed(body)
    with contextlib.suppress(DeliveryUnreadable):  # signed, and not JSON
        GitHub().verify(headers, body, Secret(SECRET))
    if other != body:
        with pytest.raises(SignatureInvalid):
            GitHub().verify(headers, other, Secret(SECRET))
    with pytest.raises(SignatureInvalid):
        GitHub().verify(headers, body, Secret(SECRET + "x"))
