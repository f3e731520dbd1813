"""The same request twice has one effect and one answer; anything else is another request."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar.response import Response
from pegboard.web.idempotency import IdempotencyKey, IdempotencyKeyInFlight, IdempotencyKeyReused
from pegboard.web.jobs import DELETE_EXPIRED_KEYS, DeleteExpiredKeys
from pegboard_sdk import new_id

from tests.support.platform import Account, TestPlatform

GIGS = "/api/v1/creation_studio/gigs"
DRAFT = {"title": "A logo, once", "price": {"amount": 100, "currency": "EUR"}, "delivery_days": 3}


@pytest.fixture
def key() -> str:
    return str(new_id())


@pytest.fixture
async def ada(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


async def draft(client: httpx.AsyncClient, key: str, path: str = GIGS, **changes: Any) -> httpx.Response:
    return await client.post(path, json={**DRAFT, **changes}, headers={"Idempotency-Key": key})


async def count(account: Account) -> int:
    return len((await account.client.get(f"{GIGS}/mine", params={"limit": 100})).json()["items"])


async def test_the_same_again_gives_the_first_answer_again(ada: Account, key: str):
    first = await draft(ada.client, key)
    again = await draft(ada.client, key)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert await count(ada) == 1


async def test_many_at_once_have_one_effect(ada: Account, key: str):
    answers = await asyncio.gather(*(draft(ada.client, key) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_key_in_flight"}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert await count(ada) == 1


async def test_another_body_is_refused(ada: Account, key: str):
    await draft(ada.client, key)
    other = await draft(ada.client, key, title="Another logo")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await count(ada) == 1


async def test_a_key_belongs_to_tenant_principal_and_route(platform: TestPlatform, ada: Account, key: str):
    """Where the key's scope were any wider, somebody would be given another's answer."""
    bob = await platform.account(ada.tenant_id)
    elsewhere = await platform.account(await platform.tenant())
    ids = [(await draft(account.client, key)).json()["id"] for account in (ada, bob, elsewhere)]
    assert len(set(ids)) == 3
    published = await ada.client.post(f"{GIGS}/{ids[0]}/publish", headers={"Idempotency-Key": key})
    assert published.json()["state"] == "published", "another route, another request"
    with_query = await draft(ada.client, key, f"{GIGS}?again=1")
    assert with_query.json()["id"] not in ids


async def test_it_is_checked_after_authorization(platform: TestPlatform, ada: Account, key: str):
    """Who may not do it is told so, and learns nothing of what was stored."""
    await draft(ada.client, key)
    stranger = platform.anonymous(ada.tenant_id)
    assert (await draft(stranger, key)).status_code == 401
    logged_out = await ada.client.post("/api/v1/auth/logout")
    assert logged_out.status_code == 204
    assert (await draft(ada.client, key)).status_code == 401


@pytest.mark.parametrize("bad", ["", " ", "x" * 256, "a\tb", "schlüssel"])
async def test_a_bad_key_is_a_400(ada: Account, bad: str):
    answer = await ada.client.post(GIGS, json=DRAFT, headers={"Idempotency-Key": bad.encode()})  # type: ignore[dict-item]  # bytes, so that httpx sends what it is given
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


async def test_a_refusal_is_not_the_answer_for_ever(ada: Account, key: str):
    """In an ordinary route a refusal rolls back: the same request may succeed later."""
    gig = (await draft(ada.client, str(new_id()))).json()["id"]
    await ada.client.post(f"{GIGS}/{gig}/publish")
    place = {"gig_id": gig, "note": ""}
    own = await ada.client.post("/api/v1/creation_studio/orders", json=place, headers={"Idempotency-Key": key})
    assert own.status_code == 403
    again = await ada.client.post("/api/v1/creation_studio/orders", json=place, headers={"Idempotency-Key": key})
    assert again.status_code == 403
    assert "idempotent-replayed" not in again.headers


def made(platform: TestPlatform, account: Account, key: str, body: bytes = b"{}") -> IdempotencyKey:
    return IdempotencyKey(
        key.encode(),
        principal=str(account.id),
        method="POST",
        path="/somewhere",
        body=body,
        vault=platform.runtime.vault,
    )


def answer(text: bytes) -> Response[Any]:
    return Response(text, status_code=200, media_type="application/json")


async def test_a_lease_keeps_others_out_until_it_runs_out(platform: TestPlatform, ada: Account, key: str):
    first, second = made(platform, ada, key), made(platform, ada, key)
    async with platform.work(ada) as work:
        assert await first.reserve(work, 60) is None
    with pytest.raises(IdempotencyKeyInFlight):
        async with platform.work(ada) as work:
            await second.reserve(work, 60)
    async with platform.work(ada) as work:
        await work.execute("UPDATE kernel_idempotency_keys SET leased_until = now() - interval '1 second'")
    async with platform.work(ada) as work:
        assert await second.reserve(work, 60) is None
    async with platform.work(ada) as work:
        await first.settle(work, answer(b'"late"'))  # its lease is another's by now
    async with platform.work(ada) as work:
        await second.settle(work, answer(b'"right"'))
    async with platform.work(ada) as work:
        replay = await made(platform, ada, key).reserve(work, 60)
        assert replay is not None
        assert replay.content == b'"right"'
        with pytest.raises(IdempotencyKeyReused):
            await made(platform, ada, key, b'{"other": 1}').reserve(work, 60)


async def test_a_key_given_back_can_be_used_again(platform: TestPlatform, ada: Account, key: str):
    first = made(platform, ada, key)
    async with platform.work(ada) as work:
        await first.reserve(work, 60)
    async with platform.work(ada) as work:
        await first.settle(work, None)
    async with platform.work(ada) as work:
        assert await made(platform, ada, key).reserve(work, 60) is None


async def test_answers_are_stored_sealed(platform: TestPlatform, ada: Account, key: str):
    await draft(ada.client, key, title="Nobody reads this in the database")
    async with platform.runtime.database.system_transaction() as connection:
        stored = await connection.fetchval(
            "SELECT answer FROM kernel_idempotency_keys WHERE tenant_id = $1", ada.tenant_id
        )
    assert b"Nobody reads" not in stored


async def test_a_day_later_it_is_a_new_request_and_the_row_goes(platform: TestPlatform, ada: Account, key: str):
    await draft(ada.client, key)
    await draft(ada.client, str(new_id()))
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_idempotency_keys SET expires_at = now() WHERE tenant_id = $1", ada.tenant_id
        )
    assert "idempotent-replayed" not in (await draft(ada.client, key)).headers
    assert await count(ada) == 3
    async with platform.work(platform.system(ada.tenant_id)) as work:
        await work.enqueue(DELETE_EXPIRED_KEYS, DeleteExpiredKeys())
    await platform.drain()
    async with platform.work(ada) as work:
        assert await work.fetchval("SELECT count(*) FROM kernel_idempotency_keys") == 1
