"""Service accounts: programs with roles, without passwords or mail."""

from uuid import UUID

from pegboard_sdk.services import AuditLog

from tests.kernel.machines.conftest import (
    ACCOUNTS,
    KEYS,
    SERVICES,
    code,
    make_credential,
    make_key,
    make_service,
    with_key,
)
from tests.support.platform import Account, TestPlatform

READ = "account:self.read"
ME = "/api/v1/auth/me"


async def test_it_is_an_account_without_a_person(platform: TestPlatform, admin: Account) -> None:
    robot = await make_service(admin)
    me = (await with_key(platform, await make_credential(admin, robot, READ)).get(ME)).json()
    assert (me["id"], me["kind"], me["email"], me["roles"]) == (robot["id"], "service", None, ["member"])
    assert (await admin.client.get(SERVICES)).json()["items"] == [robot]
    kinds = {one["id"]: one["kind"] for one in (await admin.client.get(ACCOUNTS)).json()["items"]}
    assert kinds == {str(admin.id): "person", robot["id"]: "service"}


async def test_each_has_a_name_of_its_own(admin: Account) -> None:
    await make_service(admin, name="Robot")
    again = await admin.client.post(SERVICES, json={"name": "robot"})
    assert (again.status_code, code(again)) == (409, "auth.service_name_taken")


async def test_members_make_none(ada: Account, admin: Account) -> None:
    robot = await make_service(admin)
    for answer in (
        await ada.client.get(SERVICES),
        await ada.client.post(SERVICES, json={"name": "x"}),
        await ada.client.post(f"{SERVICES}/{robot['id']}/credentials", json={"label": "x", "scopes": [READ]}),
        await ada.client.get(f"{ACCOUNTS}/{robot['id']}/credentials"),
    ):
        assert answer.status_code == 403


async def test_nobody_gives_it_what_they_do_not_hold(platform: TestPlatform, tenant: UUID, admin: Account) -> None:
    refused = await admin.client.post(SERVICES, json={"name": "x", "roles": ["operator"]})
    assert (refused.status_code, code(refused)) == (403, "auth.operator_only")
    # An operator may; then an administrator makes it no key that is an operator's.
    operator = await platform.account(tenant, ("member", "administrator", "operator"))
    robot = await make_service(operator, "operator")
    path, body = f"{SERVICES}/{robot['id']}/credentials", {"label": "x", "scopes": ["kernel:operator.grant"]}
    answer = await admin.client.post(path, json=body)
    assert (answer.status_code, code(answer)) == (403, "authorization.not_held")
    assert (await operator.client.post(path, json=body)).status_code == 201


async def test_its_key_does_no_more_than_its_roles(admin: Account) -> None:
    robot = await make_service(admin)
    answer = await admin.client.post(
        f"{SERVICES}/{robot['id']}/credentials", json={"label": "x", "scopes": ["account:account.list"]}
    )
    assert (answer.status_code, code(answer)) == (403, "auth.scope_not_held")


async def test_disabling_it_ends_its_credentials(platform: TestPlatform, admin: Account) -> None:
    robot = await make_service(admin)
    made = await make_credential(admin, robot, READ)
    client = with_key(platform, made)
    assert (await client.get(ME)).status_code == 200
    await admin.client.put(f"{ACCOUNTS}/{robot['id']}/status", json={"status": "disabled"})
    assert (await client.get(ME)).status_code == 401
    refused = await admin.client.post(f"{SERVICES}/{robot['id']}/credentials", json={"label": "x", "scopes": [READ]})
    assert refused.status_code == 409
    # Letting it in again doesn't bring them back.
    await admin.client.put(f"{ACCOUNTS}/{robot['id']}/status", json={"status": "active"})
    assert (await client.get(ME)).status_code == 401


async def test_administrators_make_no_keys_for_people_but_end_them(
    platform: TestPlatform, admin: Account, ada: Account
) -> None:
    refused = await admin.client.post(f"{SERVICES}/{ada.id}/credentials", json={"label": "x", "scopes": [READ]})
    assert refused.status_code == 404
    made = await make_key(ada, READ)
    path = f"{ACCOUNTS}/{ada.id}/credentials"
    assert [one["id"] for one in (await admin.client.get(path)).json()["items"]] == [made["id"]]
    assert (await admin.client.delete(f"{path}/{made['id']}")).status_code == 204
    assert (await with_key(platform, made).get(ME)).status_code == 401
    assert (await ada.client.get(KEYS)).json()["items"][0]["state"] == "revoked"


async def test_nobody_gets_to_know_a_key_by_replacing_it(
    platform: TestPlatform, tenant: UUID, admin: Account, ada: Account
) -> None:
    # A person's key is that person's, whoever may replace those of service accounts.
    made = await make_key(ada, READ)
    answer = await admin.client.post(f"{SERVICES}/{ada.id}/credentials/{made['id']}/rotate", json={})
    assert answer.status_code == 404
    assert (await with_key(platform, made).get(ME)).status_code == 200, "it was not replaced"
    # And an operator's robot does not speak for who is no operator.
    operator = await platform.account(tenant, ("member", "administrator", "operator"))
    robot = await make_service(operator, "operator")
    made = await make_credential(operator, robot, "kernel:operator.grant")
    path = f"{SERVICES}/{robot['id']}/credentials/{made['id']}/rotate"
    answer = await admin.client.post(path, json={})
    assert (answer.status_code, code(answer)) == (403, "authorization.not_held")
    assert (await operator.client.post(path, json={})).status_code == 201


async def test_another_marketplace_sees_none_of_it(platform: TestPlatform, admin: Account) -> None:
    robot = await make_service(admin)
    made = await make_credential(admin, robot, READ)
    other = await platform.account(await platform.tenant(), ("member", "administrator"))
    assert (await other.client.get(SERVICES)).json()["items"] == []
    assert (await other.client.get(f"{ACCOUNTS}/{robot['id']}/credentials")).json()["items"] == []
    assert (await other.client.delete(f"{ACCOUNTS}/{robot['id']}/credentials/{made['id']}")).status_code == 404
    client = platform.client(authorization=f"Bearer {made['secret']}", x_tenant=str(other.tenant_id))
    assert (await client.get(ME)).status_code == 403


async def test_what_was_done_is_on_record(platform: TestPlatform, tenant: UUID, admin: Account) -> None:
    robot = await make_service(admin)
    made = await make_credential(admin, robot, READ)
    await admin.client.delete(f"{ACCOUNTS}/{robot['id']}/credentials/{made['id']}")
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, actor_id=admin.id)
    done = [(entry.action, entry.object_id) for entry in page.items]
    for entry in (
        ("account:credential.revoke", made["id"]),
        ("account:credential.create", made["id"]),
        ("account:service_account.create", robot["id"]),
    ):
        assert entry in done


async def test_segregation_of_duties_binds_it(admin: Account) -> None:
    rights = "/api/v1/admin/authorization"
    for role in ("clerk", "auditor"):
        made = await admin.client.post(f"{rights}/roles", json={"name": role, "summary": "x"})
        assert made.status_code == 201, made.text
    rule = {"first": "clerk", "second": "auditor", "summary": "who keeps the books does not audit them"}
    assert (await admin.client.post(f"{rights}/segregation", json=rule)).status_code == 201
    refused = await admin.client.post(SERVICES, json={"name": "x", "roles": ["clerk", "auditor"]})
    assert (refused.status_code, code(refused)) == (409, "authorization.duties_segregated")
    robot = await make_service(admin, "clerk")
    refused = await admin.client.put(f"{ACCOUNTS}/{robot['id']}/roles", json={"roles": ["auditor", "clerk"]})
    assert (refused.status_code, code(refused)) == (409, "authorization.duties_segregated")
