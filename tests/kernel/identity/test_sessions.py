"""Where one is logged in: what the list shows, and ending what is in it."""

from uuid import UUID

import httpx
import pytest
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import SessionService
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import Forbidden
from pegboard_sdk.ids import new_id

from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, Account, TestPlatform

AUTH = "/api/v1/auth"


async def log_in(platform: TestPlatform, account: Account, *, program: str) -> httpx.AsyncClient:
    """Another device of the account, at an address of its own."""
    anonymous = platform.client(x_tenant=str(account.tenant_id), x_forwarded_for="203.0.113.9", user_agent=program)
    answer = await anonymous.post(f"{AUTH}/login", json={"email": account.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    device = platform.client(authorization=f"Bearer {answer.json()['access_token']}", user_agent=program)
    device.headers["x-refresh"] = answer.json()["refresh_token"]
    return device


async def sessions(client: httpx.AsyncClient) -> list[dict[str, object]]:
    answer = await client.get(f"{AUTH}/sessions")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_the_list_shows_each_device(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    await log_in(platform, ada, program="Phone/1.0")
    listed = await sessions(ada.client)
    assert [(one["user_agent"], one["ip"], one["current"]) for one in listed] == [
        ("Phone/1.0", "203.0.113.9", False),
        ("", "", True),
    ]
    assert listed[0]["methods"] == ["pwd"]
    assert {"id", "created_at", "last_used_at", "authenticated_at", "expires_at"} <= listed[0].keys()


async def test_a_refresh_tells_of_the_last_use(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    phone = await log_in(platform, ada, program="Phone/1.0")
    elsewhere = platform.client(x_tenant=str(tenant), x_forwarded_for="198.51.100.7", user_agent="Phone/1.1\t")
    answer = await elsewhere.post(f"{AUTH}/refresh", json={"refresh_token": phone.headers["x-refresh"]})
    assert answer.status_code == 200, answer.text
    listed = await sessions(ada.client)
    assert (listed[0]["user_agent"], listed[0]["ip"]) == ("Phone/1.1", "198.51.100.7")
    assert str(listed[0]["last_used_at"]) > str(listed[0]["created_at"])


async def test_the_list_has_pages_and_only_what_stands(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    phone = await log_in(platform, ada, program="Phone")
    await log_in(platform, ada, program="Tablet")
    assert (await phone.post(f"{AUTH}/logout")).status_code == 204
    first = (await ada.client.get(f"{AUTH}/sessions", params={"limit": 1})).json()
    second = (await ada.client.get(f"{AUTH}/sessions", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [one["user_agent"] for one in (*first["items"], *second["items"])] == ["Tablet", ""]
    assert second["next_cursor"] is None


async def test_ending_one_session_leaves_the_others(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    phone = await log_in(platform, ada, program="Phone")
    tablet = await log_in(platform, ada, program="Tablet")
    of_phone = (await sessions(phone))[1]
    assert (of_phone["current"], of_phone["user_agent"]) == (True, "Phone")
    for _ in range(2):  # ending it again changes nothing
        assert (await ada.client.delete(f"{AUTH}/sessions/{of_phone['id']}")).status_code == 204
    assert (await phone.get(f"{AUTH}/me")).status_code == 401
    assert (await tablet.get(f"{AUTH}/me")).status_code == 200


async def test_ending_the_others_leaves_this_one(platform: TestPlatform, tenant: UUID) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    phone = await log_in(platform, ada, program="Phone")
    tablet = await log_in(platform, ada, program="Tablet")
    assert (await phone.delete(f"{AUTH}/sessions")).status_code == 204
    assert [client.status_code for client in [await one.get(f"{AUTH}/me") for one in (ada.client, tablet, phone)]] == [
        401,
        401,
        200,
    ]
    assert [one["user_agent"] for one in await sessions(phone)] == ["Phone"]
    assert (await eve.client.get(f"{AUTH}/me")).status_code == 200


async def test_somebody_else_s_session_is_not_there(platform: TestPlatform, tenant: UUID) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    of_ada = (await sessions(ada.client))[0]["id"]
    for session_id in (of_ada, new_id()):
        answer = await eve.client.delete(f"{AUTH}/sessions/{session_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    elsewhere = await platform.account(await platform.tenant())
    assert (await elsewhere.client.delete(f"{AUTH}/sessions/{of_ada}")).status_code == 404
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 200


async def test_what_is_ended_is_on_record(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    await log_in(platform, ada, program="Phone")
    assert (await ada.client.delete(f"{AUTH}/sessions")).status_code == 204
    async with platform.work(platform.system(tenant)) as work:
        entry = await work.fetchrow(
            "SELECT actor_id, after->>'reason' AS reason FROM kernel_audit_entries WHERE action = 'account:session.end'"
        )
    assert entry is not None
    assert (entry["actor_id"], entry["reason"]) == (ada.id, "owner")


async def test_a_stolen_refresh_token_is_told_by_mail(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada = await platform.account(tenant)
    phone = await log_in(platform, ada, program="Phone/1.0")
    anonymous = platform.anonymous(tenant)
    stolen = {"refresh_token": phone.headers["x-refresh"]}
    child = (await anonymous.post(f"{AUTH}/refresh", json=stolen)).json()["refresh_token"]
    assert (await anonymous.post(f"{AUTH}/refresh", json={"refresh_token": child})).status_code == 200
    answer = await anonymous.post(f"{AUTH}/refresh", json=stolen)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.refresh_token_reused")
    again = await anonymous.post(f"{AUTH}/refresh", json=stolen)
    assert again.json()["code"] == "auth.session_ended"
    await platform.drain()
    (letter,) = mailbox.to(ada.email)
    assert letter["Subject"] == "test: a session was ended for safety"
    assert "203.0.113.9" not in letter.get_content(), "the thief's refresh came last, from another address"
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 200, "the other session stands"


async def test_a_session_of_a_machine_is_no_log_in(platform: TestPlatform, tenant: UUID) -> None:
    """API keys and clients have sessions too; they are managed elsewhere, and don't end with the log-ins."""
    ada = await platform.account(tenant)
    async with platform.work(platform.system(tenant)) as work:
        key = await IdentityRepository(work).insert_session(ada.id, ttl=None, kind="api_key", label="robot")
    assert [one["current"] for one in await sessions(ada.client)] == [True]
    assert (await ada.client.delete(f"{AUTH}/sessions/{key['id']}")).status_code == 404
    assert (await ada.client.delete(f"{AUTH}/sessions")).status_code == 204
    async with platform.work(platform.system(tenant)) as work:
        standing = "SELECT revoked_at IS NULL AND expires_at > now() FROM kernel_sessions WHERE id = $1"
        assert await work.fetchval(standing, key["id"])
        await SessionService(platform.runtime).revoke(work, "disabled", account_id=ada.id)
        assert not await work.fetchval(standing, key["id"])


async def test_a_machine_proves_nothing_about_a_person(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    async with platform.work(platform.system(tenant)) as work:
        key = await IdentityRepository(work).insert_session(ada.id, ttl=None, kind="api_key", label="robot")
    machine = Principal(kind="account", tenant_id=tenant, account_id=ada.id, session_id=key["id"])
    async with platform.work(machine) as work:
        with pytest.raises(Forbidden):
            await SessionService(platform.runtime).prove(work, methods=("pwd",))


async def test_an_administrator_logs_an_account_out(platform: TestPlatform, tenant: UUID) -> None:
    ada, boss = await platform.account(tenant), await platform.account(tenant, ("member", "administrator"))
    phone = await log_in(platform, ada, program="Phone")
    path = f"/api/v1/admin/accounts/{ada.id}/sessions"
    assert (await phone.delete(path)).status_code == 403
    assert (await boss.client.delete(path)).status_code == 204
    assert [(await one.get(f"{AUTH}/me")).status_code for one in (ada.client, phone, boss.client)] == [401, 401, 200]
    assert await sessions(await log_in(platform, ada, program="Phone")), "they can log in again"
    nobody = await boss.client.delete(f"/api/v1/admin/accounts/{new_id()}/sessions")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")
    operator = await platform.account(tenant, ("member", "operator"))
    refused = await boss.client.delete(f"/api/v1/admin/accounts/{operator.id}/sessions")
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.operator_only")
