"""Consent: given under the notice that was shown, withdrawn as easily, and never rewritten."""

import asyncio
from uuid import UUID

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard_sdk.services import Consent

from tests.support.platform import Account, TestPlatform

ROOT = "/api/v1/governance"
NEWS = {"slug": "newsletter", "title": "Newsletter", "notice": "We send you a letter each month. You can stop it."}


@pytest.fixture
async def administrator(platform: TestPlatform, tenant: UUID) -> Account:
    account = await platform.account(tenant, ("member", "administrator"))
    created = await account.client.post(f"{ROOT}/purposes", json=NEWS)
    assert created.status_code == 201, created.text
    return account


@pytest.fixture
async def ada(platform: TestPlatform, tenant: UUID, administrator: Account) -> Account:
    return await platform.account(tenant)


async def give(client: httpx.AsyncClient, version: int = 1) -> httpx.Response:
    return await client.put(f"{ROOT}/consents/newsletter", json={"notice_version": version})


async def withdraw(client: httpx.AsyncClient) -> httpx.Response:
    return await client.delete(f"{ROOT}/consents/newsletter")


async def history(client: httpx.AsyncClient) -> list[tuple[str, int]]:
    page = (await client.get(f"{ROOT}/consents/history", params={"limit": 100})).json()
    return [(record["state"], record["notice_version"]) for record in page["items"]]


async def publish(administrator: Account, text: str = "We now send you two letters each month.") -> int:
    response = await administrator.client.post(f"{ROOT}/purposes/newsletter/notices", json={"text": text})
    assert response.status_code == 201, response.text
    return response.json()["notice"]["version"]


async def stands(platform: TestPlatform, account: Account) -> bool:
    async with platform.work(platform.system(account.tenant_id)) as uow:
        return await uow.service(Consent).has(uow, account_id=account.id, purpose="newsletter")


async def test_given_and_withdrawn_shows_in_the_history(platform: TestPlatform, ada: Account):
    given_ = await give(ada.client)
    assert given_.status_code == 200
    assert given_.json() | {"changed_at": ""} == {
        "purpose": "newsletter", "state": "given", "notice_version": 1, "current": True, "changed_at": "",
    }  # fmt: skip
    assert await stands(platform, ada)
    assert (await withdraw(ada.client)).status_code == 204
    assert not await stands(platform, ada)
    assert await history(ada.client) == [("withdrawn", 1), ("given", 1)]


async def test_doing_it_twice_changes_nothing(ada: Account):
    for _ in range(2):
        await give(ada.client)
    for _ in range(2):
        assert (await withdraw(ada.client)).status_code == 204
    assert await history(ada.client) == [("withdrawn", 1), ("given", 1)]


async def test_withdrawing_what_was_never_given_leaves_no_trace(ada: Account):
    assert (await withdraw(ada.client)).status_code == 204
    assert await history(ada.client) == []


async def test_given_many_times_at_once_it_is_one_record(ada: Account):
    answers = await asyncio.gather(*(give(ada.client) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert await history(ada.client) == [("given", 1)]


async def test_a_new_notice_does_not_carry_old_consents_over(
    platform: TestPlatform, ada: Account, administrator: Account
):
    await give(ada.client)
    assert await publish(administrator) == 2
    assert not await stands(platform, ada)
    (standing,) = (await ada.client.get(f"{ROOT}/consents")).json()["items"]
    assert standing["state"] == "given"
    assert standing["current"] is False
    stale = await give(ada.client, 1)
    assert stale.status_code == 409
    assert stale.json()["code"] == "governance.notice_not_current"
    assert (await give(ada.client, 2)).json()["current"] is True
    assert await stands(platform, ada)


async def test_notices_are_versions_that_stay(platform: TestPlatform, tenant: UUID, administrator: Account):
    versions = await asyncio.gather(*(publish(administrator, f"Letter number {n} to you") for n in range(4)))
    assert sorted(versions) == [2, 3, 4, 5]
    anonymous = platform.anonymous(tenant)
    page = (await anonymous.get(f"{ROOT}/purposes/newsletter/notices", params={"limit": 3})).json()
    assert [notice["version"] for notice in page["items"]] == [5, 4, 3]
    rest = (await anonymous.get(f"{ROOT}/purposes/newsletter/notices", params={"cursor": page["next_cursor"]})).json()
    assert [notice["version"] for notice in rest["items"]] == [2, 1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("table", ["governance_consent_records", "governance_notices"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET created_at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_history_can_not_be_rewritten_even_by_the_owner(
    ada: Account, database_url: str, table: str, statement: str
):
    await give(ada.client)
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await connection.execute(statement.format(table))
        assert getattr(refusal.value, "sqlstate", None) == "PB409"
    finally:
        await connection.close()


async def test_a_consent_belongs_to_its_person_and_marketplace(
    platform: TestPlatform, ada: Account, administrator: Account
):
    await give(ada.client)
    bob = await platform.account(ada.tenant_id)
    stranger = await platform.account(await platform.tenant(), ("member", "administrator"))
    assert await history(bob.client) == []
    path = f"{ROOT}/accounts/{ada.id}/consents/history"
    assert (await bob.client.get(path)).status_code == 403
    assert (await stranger.client.get(path)).json()["items"] == []
    assert len((await administrator.client.get(path)).json()["items"]) == 1
    assert (await give(stranger.client)).json()["code"] == "governance.purpose_not_found"


async def test_changes_are_audited_with_before_and_after(ada: Account, administrator: Account):
    await give(ada.client)
    await withdraw(ada.client)
    response = await administrator.client.get(
        f"{ROOT}/audit", params={"actor": str(ada.id), "action": "governance:consent.change"}
    )
    newest, oldest = response.json()["items"]
    assert oldest["before"] is None
    assert oldest["after"] == {"state": "given", "notice_version": 1}
    assert newest["before"] == {"state": "given", "notice_version": 1}
    assert newest["after"]["state"] == "withdrawn"
    assert newest["outcome"] == "success"


async def test_a_slug_is_taken_once(administrator: Account):
    again = await administrator.client.post(f"{ROOT}/purposes", json=NEWS)
    assert again.status_code == 409
    assert again.json()["code"] == "governance.purpose_exists"


@pytest.mark.parametrize("slug", ["", "News", "a", "news letter", "1news", "n" * 64])
async def test_a_bad_slug_is_named(administrator: Account, slug: str):
    answer = await administrator.client.post(f"{ROOT}/purposes", json={**NEWS, "slug": slug})
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/slug"]


STEPS = st.lists(st.sampled_from(["give", "give_stale", "withdraw", "publish"]), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_the_history_is_what_happened(platform: TestPlatform, steps: list[str]):
    """Against a model: the state, its version and the list of changes."""
    tenant = await platform.tenant()
    administrator = await platform.account(tenant, ("member", "administrator"))
    await administrator.client.post(f"{ROOT}/purposes", json=NEWS)
    version, state, agreed = 1, None, 0
    expected: list[tuple[str, int]] = []
    for step in steps:
        if step == "publish":
            version = await publish(administrator)
        elif step == "give":
            assert (await give(administrator.client, version)).status_code == 200
            if (state, agreed) != ("given", version):
                state, agreed = "given", version
                expected.insert(0, (state, agreed))
        elif step == "give_stale":
            assert (await give(administrator.client, version + 1)).status_code == 409
        else:
            await withdraw(administrator.client)
            if state == "given":
                state = "withdrawn"
                expected.insert(0, (state, agreed))
    assert await history(administrator.client) == expected
    assert await stands(platform, administrator) == ((state, agreed) == ("given", version))
