"""Who may give which roles, and from when they count."""

import asyncio
from uuid import UUID

import httpx
import pytest
from pegboard.identity.errors import SessionEnded
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import SessionService
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditLog

from tests.kernel.authorization.factories import PATH as AUTHORIZATION
from tests.kernel.authorization.factories import edit
from tests.support.platform import PASSWORD, Account, TestPlatform

ADMIN = "/api/v1/admin/accounts"
ADMINISTRATOR = ("member", "administrator")
OPERATOR = ("member", "administrator", "operator")


async def give(by: Account, to: Account | UUID, *roles: str) -> httpx.Response:
    account_id = to.id if isinstance(to, Account) else to
    return await by.client.put(f"{ADMIN}/{account_id}/roles", json={"roles": list(roles)})


def code(response: httpx.Response) -> str:
    return response.json()["code"]


async def test_an_administrator_gives_and_takes_roles(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    given = await give(admin, ada, "administrator")
    assert given.status_code == 200, given.text
    assert given.json()["roles"] == ["administrator", "member"]
    # What is given counts from the next refresh on; nobody is logged out for it.
    assert (await ada.client.get("/api/v1/auth/me")).status_code == 200
    assert (await ada.client.get(ADMIN)).status_code == 403
    # What is taken counts at once.
    taken = await give(admin, ada)
    assert taken.json()["roles"] == ["member"]
    ended = await ada.client.get("/api/v1/auth/me")
    assert (ended.status_code, code(ended)) == (401, "auth.session_ended")
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:role.grant")
    assert [(entry.actor_id, entry.object_id) for entry in page.items] == [(admin.id, str(ada.id))] * 2
    assert [(entry.before, entry.after) for entry in page.items] == [
        ({"roles": ["administrator", "member"]}, {"roles": ["member"]}),
        ({"roles": ["member"]}, {"roles": ["administrator", "member"]}),
    ]


async def test_the_same_roles_again_change_nothing(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    assert (await give(admin, ada, "member", "member")).json()["roles"] == ["member"]
    assert (await ada.client.get("/api/v1/auth/me")).status_code == 200
    async with platform.work(platform.system(tenant)) as work:
        assert (await work.service(AuditLog).search(work, action="account:role.grant")).items == []


async def test_a_member_gives_nothing(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    assert (await give(ada, ada, "administrator")).status_code == 403
    assert (await ada.client.get(ADMIN)).status_code == 403


@pytest.mark.parametrize("roles", [["nonsense"], ["anonymous"], ["member", "superuser"]])
async def test_only_roles_that_there_are(platform: TestPlatform, tenant: UUID, roles: list[str]) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    answer = await give(admin, admin, "administrator", *roles)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/roles/{len(roles)}"]


async def test_only_an_operator_makes_and_unmakes_operators(platform: TestPlatform, tenant: UUID) -> None:
    admin, operator = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant, OPERATOR)
    ada = await platform.account(tenant)
    for answer in (
        await give(admin, ada, "operator"),
        await give(admin, admin, "administrator", "operator"),
        await give(admin, operator, "administrator"),
    ):
        assert (answer.status_code, code(answer)) == (403, "auth.operator_only")
    assert (await give(operator, ada, "operator")).json()["roles"] == ["member", "operator"]
    assert (await give(operator, ada)).json()["roles"] == ["member"]


async def test_the_last_administrator_and_operator_stay(platform: TestPlatform, tenant: UUID) -> None:
    operator = await platform.account(tenant, OPERATOR)
    for roles in ((), ("operator",), ("administrator",)):
        answer = await give(operator, operator, *roles)
        assert (answer.status_code, code(answer)) == (409, "auth.last_of_role")


async def test_two_administrators_can_not_unmake_each_other_at_once(platform: TestPlatform, tenant: UUID) -> None:
    first, second = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant, ADMINISTRATOR)
    answers = await asyncio.gather(give(first, second), give(second, first))
    # Whoever comes second is refused: as the last administrator, or as somebody who was just logged out.
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401])
    async with platform.work(platform.system(tenant)) as work:
        left = await work.fetchval("SELECT count(*) FROM kernel_role_grants WHERE role = 'administrator'")
    assert left == 1


async def set_status(by: Account, to: Account, status: str) -> httpx.Response:
    return await by.client.put(f"{ADMIN}/{to.id}/status", json={"status": status})


async def test_a_disabled_account_is_logged_out_and_stays_out(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    disabled = await set_status(admin, ada, "disabled")
    assert (disabled.status_code, disabled.json()["status"]) == (200, "disabled")
    assert (await ada.client.get("/api/v1/auth/me")).status_code == 401
    credentials = {"email": ada.email, "password": PASSWORD}
    refused = await platform.anonymous(tenant).post("/api/v1/auth/login", json=credentials)
    assert (refused.status_code, code(refused)) == (403, "auth.account_disabled")
    assert (await set_status(admin, ada, "active")).json()["status"] == "active"
    assert (await ada.client.get("/api/v1/auth/me")).status_code == 401
    assert (await platform.anonymous(tenant).post("/api/v1/auth/login", json=credentials)).status_code == 200


async def test_a_log_in_while_the_account_is_disabled_does_not_slip_through(
    platform: TestPlatform, tenant: UUID
) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    service = SessionService(platform.runtime)
    async with platform.work(platform.system(tenant)) as logging_in:
        assert await IdentityRepository(logging_in).lock_account(ada.id, change=False)
        disabling = asyncio.create_task(set_status(admin, ada, "disabled"))
        await waits_for_a_lock(platform)
        slipped = await service.open(logging_in, ada.id)
    assert (await disabling).status_code == 200
    with pytest.raises(SessionEnded):
        await platform.runtime.authenticator.principal(service.issue(slipped).access_token, platform.registry)


async def waits_for_a_lock(platform: TestPlatform) -> None:
    """Return once some transaction waits for another."""
    async with asyncio.timeout(10), platform.runtime.database.system.acquire() as connection:
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            pass


async def test_who_may_not_be_disabled(platform: TestPlatform, tenant: UUID) -> None:
    admin, operator = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant, OPERATOR)
    answer = await set_status(admin, operator, "disabled")
    assert (answer.status_code, code(answer)) == (403, "auth.operator_only")
    assert (await set_status(operator, admin, "disabled")).status_code == 200
    answer = await set_status(operator, operator, "disabled")
    assert (answer.status_code, code(answer)) == (409, "auth.last_of_role")
    ada = await platform.account(tenant)
    assert (await set_status(ada, ada, "disabled")).status_code == 403
    assert (await set_status(operator, await platform.account(await platform.tenant()), "disabled")).status_code == 404


async def test_who_helps_people_does_not_keep_their_administrators_out(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    assert (await admin.client.post(f"{AUTHORIZATION}/roles", json={"name": "support"})).status_code == 201
    granted = ("account:account.disable", "account:session.end_any")
    assert (await edit(admin, *(("support", permission, True) for permission in granted))).status_code == 200
    helper = await platform.account(tenant, ("member", "support"))
    for refused in (
        await set_status(helper, admin, "disabled"),
        await helper.client.delete(f"{ADMIN}/{admin.id}/sessions"),
    ):
        assert (refused.status_code, code(refused)) == (403, "authorization.not_held")
        assert "who holds no more than you" in refused.json()["detail"]
    assert (await admin.client.get("/api/v1/auth/me")).status_code == 200
    assert (await helper.client.delete(f"{ADMIN}/{ada.id}/sessions")).status_code == 204
    assert (await set_status(helper, ada, "disabled")).status_code == 200
    # Nor do they let somebody in again whom an administrator keeps out.
    other = await platform.account(tenant, ADMINISTRATOR)
    assert (await set_status(admin, other, "disabled")).status_code == 200
    assert code(await set_status(helper, other, "active")) == "authorization.not_held"
    assert (await set_status(admin, helper, "disabled")).status_code == 200


async def test_another_tenants_accounts_are_not_there(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    stranger = await platform.account(await platform.tenant())
    for account_id in (stranger.id, new_id()):
        answer = await give(admin, account_id, "administrator")
        assert (answer.status_code, code(answer)) == (404, "not_found")
    listed = await admin.client.get(ADMIN, params={"email": stranger.email})
    assert listed.json()["items"] == []


async def test_accounts_are_listed_page_by_page(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    others = [await platform.account(tenant) for _ in range(2)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await admin.client.get(ADMIN, params=parameters)).json()
        found += [account["email"] for account in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [others[1].email, others[0].email, admin.email]
    one = await admin.client.get(ADMIN, params={"email": others[0].email.upper()})
    assert [account["id"] for account in one.json()["items"]] == [str(others[0].id)]
    assert (await admin.client.get(ADMIN, params={"cursor": "W10"})).status_code == 400
