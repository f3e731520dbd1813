"""Roles that need a second factor."""

from typing import Any
from uuid import UUID

from pegboard.identity.sessions import SessionService

from tests.kernel.authorization.factories import edit
from tests.kernel.factors.conftest import AUTH, MakePerson, Person, add_passkey, add_totp, entries
from tests.support.authenticator import Authenticator
from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, Account, TestPlatform

ADMIN = "/api/v1/admin"
REQUIREMENTS = f"{ADMIN}/factor-requirements"


async def require(platform: TestPlatform, tenant: UUID, role: str, **body: Any) -> Account:
    """Have a role need a factor; the administrator who said so."""
    boss = await platform.account(tenant, ("administrator",))
    response = await boss.client.put(f"{REQUIREMENTS}/{role}", json=body)
    assert response.status_code == 200, response.text
    return boss


async def logged_in(person: Person) -> Person:
    """The same, by a log-in of now."""
    answer = await person.log_in()
    assert answer.status_code == 200, answer.text
    person.client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
    return person


async def set_back(platform: TestPlatform, tenant: UUID, table: str, *, days: int) -> None:
    """As if the tenant's rows had been made so long ago."""
    async with platform.runtime.database.system_transaction() as connection:
        sql = f"UPDATE {table} SET created_at = now() - make_interval(days => $2) WHERE tenant_id = $1"
        await connection.execute(sql, tenant, days)


async def test_who_has_none_can_only_set_one_up(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    ada = await person(roles=("member", "administrator"))
    await require(platform, tenant, "administrator")
    await logged_in(ada)
    refused = await ada.client.get(f"{ADMIN}/accounts")
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.factor_required")
    assert "/api/v1/auth/factors/totp" in refused.json()["detail"]
    shown = (await ada.client.get(f"{AUTH}/factors")).json()
    assert (shown["restricted"], shown["totp"]) == (True, None)
    assert shown["required_from"]
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 200
    assert (await ada.client.get("/api/v1/finance/wallet")).status_code in (403, 404)

    await add_totp(ada)
    assert (await ada.client.get(f"{ADMIN}/accounts")).status_code == 200
    assert not (await ada.client.get(f"{AUTH}/factors")).json()["restricted"]


async def test_a_refresh_keeps_what_was_proved(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    """And a session from before the requirement is restricted by its next one."""
    ada = await person(roles=("member", "administrator"))
    before = (await ada.log_in()).json()
    await require(platform, tenant, "administrator")
    anonymous = ada.anonymous

    async def refreshed(pair: dict[str, Any]) -> dict[str, Any]:
        answer = await anonymous.post(f"{AUTH}/refresh", json={"refresh_token": pair["refresh_token"]})
        assert answer.status_code == 200, answer.text
        ada.client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer.json()

    pair = await refreshed(before)
    assert (await ada.client.get(f"{ADMIN}/accounts")).status_code == 403
    await add_totp(ada)
    await refreshed(pair)
    assert (await ada.client.get(f"{ADMIN}/accounts")).status_code == 200


async def test_an_open_session_proves_the_factor_by_a_step_up(
    platform: TestPlatform, tenant: UUID, person: MakePerson
) -> None:
    ada = await person(totp=True, roles=("member", "administrator"))
    async with platform.work(platform.system(tenant)) as work:
        opened = await SessionService(platform.runtime).open(work, ada.account.id)
    await require(platform, tenant, "administrator")
    async with platform.work(platform.system(tenant)) as work:
        opened = await SessionService(platform.runtime).open(work, ada.account.id)
    token = SessionService(platform.runtime).issue(opened).access_token
    restricted = platform.client(authorization=f"Bearer {token}")
    assert (await restricted.get(f"{ADMIN}/accounts")).json()["code"] == "auth.factor_required"
    challenge = (await restricted.get(f"{AUTH}/step-up/challenge")).json()
    body = {"challenge": challenge["challenge"], "code": ada.code()}
    proven = await restricted.post(f"{AUTH}/step-up/challenge", json=body)
    restricted.headers["authorization"] = f"Bearer {proven.json()['access_token']}"
    assert (await restricted.get(f"{ADMIN}/accounts")).status_code == 200


async def test_rights_for_a_while_do_not_get_around_it(
    platform: TestPlatform, tenant: UUID, person: MakePerson
) -> None:
    ada = await person()
    boss = await require(platform, tenant, "member")
    body = {
        "account_id": str(ada.account.id),
        "permission": "account:account.list",
        "reason": "helps out",
        "expires_in": 3600,
    }
    given = await boss.client.post(f"{ADMIN}/authorization/overrides", json=body)
    assert given.status_code == 201, given.text
    await logged_in(ada)
    assert (await ada.client.get(f"{ADMIN}/accounts")).json()["code"] == "auth.factor_required"


async def test_there_may_be_days_of_grace(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    ada = await person(roles=("member", "administrator"))
    await require(platform, tenant, "administrator", grace_days=7)
    await logged_in(ada)
    assert (await ada.client.get(f"{ADMIN}/accounts")).status_code == 200
    shown = (await ada.client.get(f"{AUTH}/factors")).json()
    assert (shown["restricted"], shown["required_from"] is not None) == (False, True)
    await set_back(platform, tenant, "kernel_factor_requirements", days=8)
    await set_back(platform, tenant, "kernel_role_grants", days=6)
    await logged_in(ada)
    assert (await ada.client.get(f"{ADMIN}/accounts")).status_code == 200, "they got the role six days ago"
    await set_back(platform, tenant, "kernel_role_grants", days=8)
    await logged_in(ada)
    assert (await ada.client.get(f"{ADMIN}/accounts")).status_code == 403


async def test_the_last_factor_stays(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    ada = await person(totp=True)
    await require(platform, tenant, "member", grace_days=30)
    refused = await ada.client.delete(f"{AUTH}/factors/totp")
    assert (refused.status_code, refused.json()["code"]) == (409, "auth.last_factor")
    added = await add_passkey(ada, Authenticator())
    assert (await ada.client.delete(f"{AUTH}/factors/totp")).status_code == 204
    refused = await ada.client.delete(f"{AUTH}/factors/passkeys/{added.json()['passkey']['id']}")
    assert refused.json()["code"] == "auth.last_factor"
    assert len((await ada.client.get(f"{AUTH}/factors")).json()["passkeys"]) == 1


async def test_administrators_see_and_change_what_is_required(
    platform: TestPlatform, tenant: UUID, person: MakePerson
) -> None:
    await person(totp=True)
    boss = await require(platform, tenant, "member", grace_days=14)
    (item,) = (await boss.client.get(REQUIREMENTS)).json()["items"]
    assert (item["role"], item["grace_days"], item["without"]) == ("member", 14, 1)
    assert (await boss.client.put(f"{REQUIREMENTS}/member", json={})).json()["grace_days"] == 0
    assert (await boss.client.put(f"{REQUIREMENTS}/nobody", json={})).status_code == 404
    assert (await boss.client.put(f"{REQUIREMENTS}/anonymous", json={})).status_code == 404
    assert (await boss.client.put(f"{REQUIREMENTS}/operator", json={})).json()["code"] == "auth.operator_only"
    assert (await boss.client.put(f"{REQUIREMENTS}/member", json={"grace_days": 366})).status_code == 400
    assert (await boss.client.delete(f"{REQUIREMENTS}/member")).status_code == 204
    assert (await boss.client.delete(f"{REQUIREMENTS}/member")).status_code == 404
    changed = await entries(platform, tenant, "account:factor.require")
    changes = [(one.before, one.after) for one in changed if one.outcome == "success"]
    assert changes == [
        ({"grace_days": 0}, {}),
        ({"grace_days": 14}, {"grace_days": 0}),
        (None, {"grace_days": 14}),
    ]
    member = await platform.account(tenant)
    assert (await member.client.get(REQUIREMENTS)).status_code == 403


async def test_what_one_marketplace_requires_is_no_others(platform: TestPlatform, tenant: UUID) -> None:
    await require(platform, tenant, "member")
    other = await platform.account(await platform.tenant(), ("administrator",))
    assert (await other.client.get(REQUIREMENTS)).json() == {"items": []}
    answer = await platform.anonymous(other.tenant_id).post(
        f"{AUTH}/login", json={"email": other.email, "password": PASSWORD}
    )
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await other.client.get(f"{ADMIN}/accounts", headers=headers)).status_code == 200


async def test_an_administrator_helps_who_has_lost_all(
    platform: TestPlatform, tenant: UUID, person: MakePerson, mailbox: Mailbox
) -> None:
    ada = await person(totp=True, passkey=Authenticator())
    boss = await platform.account(tenant, ("administrator",))
    url = f"{ADMIN}/accounts/{ada.account.id}/factors"
    shown = (await boss.client.get(url)).json()
    assert (len(shown["passkeys"]), shown["recovery_codes"]) == (1, 10)
    assert (await boss.client.delete(url)).status_code == 204
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 401, "who holds a session of theirs is out"
    assert (await ada.log_in()).status_code == 200
    await platform.drain()
    assert "test: your second factors were removed" in mailbox.subjects(ada.account.email)
    (entry,) = await entries(platform, tenant, "account:factor.reset")
    assert entry.before == {"authenticator_app": True, "passkeys": 1}
    assert (entry.actor_id, entry.object_id) == (boss.id, str(ada.account.id))


async def test_nobody_resets_their_own_nor_an_operators(
    platform: TestPlatform, tenant: UUID, person: MakePerson
) -> None:
    boss = await person(totp=True, roles=("member", "administrator"))
    own = await boss.client.delete(f"{ADMIN}/accounts/{boss.account.id}/factors")
    assert (own.status_code, own.json()["code"]) == (409, "auth.own_factors")
    operator = await person(roles=("member", "operator"))
    refused = await boss.client.delete(f"{ADMIN}/accounts/{operator.account.id}/factors")
    assert refused.json()["code"] == "auth.operator_only"
    elsewhere = await platform.account(await platform.tenant())
    assert (await boss.client.delete(f"{ADMIN}/accounts/{elsewhere.id}/factors")).status_code == 404
    member = await platform.account(tenant)
    assert (await member.client.delete(f"{ADMIN}/accounts/{boss.account.id}/factors")).status_code == 403


async def test_who_helps_people_does_not_take_their_administrators_factors(
    platform: TestPlatform, tenant: UUID, person: MakePerson
) -> None:
    boss, ada = await person(totp=True, roles=("member", "administrator")), await person(totp=True)
    admin = await platform.account(tenant, ("member", "administrator"))
    assert (await admin.client.post(f"{ADMIN}/authorization/roles", json={"name": "support"})).status_code == 201
    assert (await edit(admin, ("support", "account:factor.reset", True))).status_code == 200
    helper = await platform.account(tenant, ("member", "support"))
    refused = await helper.client.delete(f"{ADMIN}/accounts/{boss.account.id}/factors")
    assert (refused.status_code, refused.json()["code"]) == (403, "authorization.not_held")
    assert (await admin.client.get(f"{ADMIN}/accounts/{boss.account.id}/factors")).json()["totp"] is not None
    assert (await helper.client.delete(f"{ADMIN}/accounts/{ada.account.id}/factors")).status_code == 204
