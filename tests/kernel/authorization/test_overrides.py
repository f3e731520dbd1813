"""Rights for a while: who gets them, from when, until when."""

import asyncio
import time
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pegboard.authorization.jobs import RECORD_EXPIRY, RecordExpiry
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditLog

from tests.kernel.authorization.factories import ADMINISTRATOR, PATH, code, edit
from tests.support.platform import Account, TestPlatform

OVERRIDES = f"{PATH}/overrides"
ACCOUNTS = "/api/v1/admin/accounts"
LIST = "account:account.list"


async def raise_rights(by: Account, to: Account | UUID, *, expires_in: int = 600, **what: Any) -> httpx.Response:
    account_id = to.id if isinstance(to, Account) else to
    return await by.client.post(
        OVERRIDES, json={"account_id": str(account_id), "reason": "on call", "expires_in": expires_in, **what}
    )


async def may_list(who: Account) -> bool:
    return (await who.client.get(ACCOUNTS)).status_code == 200


async def backdate(platform: TestPlatform, tenant: UUID, override: Any) -> None:
    """Let the override's time be over, as if it had been given for less."""
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_overrides"
            " SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE id = $1",
            override["id"],
        )
    await platform.runtime.authenticator.policies.refresh(platform.runtime.database, tenant)


@pytest.mark.parametrize("what", [{"permission": LIST}, {"role": "administrator"}])
async def test_it_counts_at_once_and_is_ended_early(platform: TestPlatform, tenant: UUID, what: dict[str, Any]) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    assert not await may_list(ada)
    given = await raise_rights(admin, ada, **what)
    assert given.status_code == 201, given.text
    override = given.json()
    assert (override["state"], override["granted_by"], override["reason"]) == ("live", str(admin.id), "on call")
    assert await may_list(ada)
    ended = await admin.client.post(f"{OVERRIDES}/{override['id']}/end")
    assert (ended.status_code, ended.json()["state"], ended.json()["ended_by"]) == (200, "ended", str(admin.id))
    assert not await may_list(ada)
    assert (await admin.client.post(f"{OVERRIDES}/{override['id']}/end")).json() == ended.json()
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:override.grant", object_id=ada.id)
    assert len(page.items) == 2
    assert all(entry.actor_id == admin.id for entry in page.items)
    assert (page.items[1].after or {})["reason"] == "on call"


async def test_it_ends_by_itself(platform: TestPlatform, tenant: UUID) -> None:
    """No process has to do anything for it: what is remembered of a token is good until then."""
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    override = (await raise_rights(admin, ada, permission=LIST)).json()
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_overrides SET expires_at = clock_timestamp() + interval '1 second' WHERE id = $1",
            override["id"],
        )
        ends = await connection.fetchval(
            "SELECT extract(epoch FROM expires_at) FROM kernel_overrides WHERE id = $1", override["id"]
        )
    await platform.runtime.authenticator.policies.refresh(platform.runtime.database, tenant)
    assert await may_list(ada)
    async with asyncio.timeout(5):
        while await may_list(ada):
            pass
    assert time.time() >= float(ends)
    listed = (await admin.client.get(OVERRIDES, params={"account_id": str(ada.id)})).json()["items"]
    assert [one["state"] for one in listed] == ["expired"]
    assert (await admin.client.get(OVERRIDES, params={"live": "true"})).json()["items"] == []


async def test_other_processes_know_within_a_second(
    platform: TestPlatform, tenant: UUID, other_process: Runtime
) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    elsewhere = other_process.authenticator
    await elsewhere.start()

    async def held() -> bool:
        return (await elsewhere.principal(ada.token, platform.registry)).may(LIST)

    assert not await held()
    override = (await raise_rights(admin, ada, permission=LIST)).json()
    began = time.monotonic()
    async with asyncio.timeout(5):
        while not await held():  # noqa: ASYNC110  # what is awaited is another process
            await asyncio.sleep(0)
    assert time.monotonic() - began < 2, "a second, and what a busy machine adds"
    await admin.client.post(f"{OVERRIDES}/{override['id']}/end")
    async with asyncio.timeout(5):
        while await held():  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)


async def test_its_end_is_put_on_record_once(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    override = (await raise_rights(admin, ada, permission=LIST)).json()
    await backdate(platform, tenant, override)
    for _ in range(2):
        async with platform.work(platform.system(tenant)) as work:
            await work.enqueue(RECORD_EXPIRY, RecordExpiry())
        await platform.drain()
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:override.expire")
    assert [(entry.actor_kind, entry.object_id) for entry in page.items] == [("system", str(ada.id))]
    (listed,) = (await admin.client.get(OVERRIDES)).json()["items"]
    assert listed["state"] == "expired"
    assert (await admin.client.post(f"{OVERRIDES}/{override['id']}/end")).json()["state"] == "expired"


async def test_who_gives_what_to_whom(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    operator = await platform.account(tenant, (*ADMINISTRATOR, "operator"))
    stranger = await platform.account(await platform.tenant())
    cases = (
        (await raise_rights(admin, admin, permission=LIST), 403, "forbidden"),
        (await raise_rights(ada, ada, permission=LIST), 403, "forbidden"),
        (await raise_rights(operator, ada, permission="kernel:job.read"), 403, "authorization.platforms_own"),
        (await raise_rights(operator, ada, role="operator"), 403, "authorization.platforms_own"),
        (await raise_rights(admin, stranger, permission=LIST), 404, "not_found"),
        (await raise_rights(admin, new_id(), permission=LIST), 404, "not_found"),
        (await raise_rights(admin, ada), 422, "invalid_input"),
        (await raise_rights(admin, ada, permission=LIST, role="administrator"), 422, "invalid_input"),
        (await raise_rights(admin, ada, permission="finance:nothing.do"), 422, "invalid_input"),
        (await raise_rights(admin, ada, role="nobody"), 422, "invalid_input"),
        (await raise_rights(admin, ada, role="anonymous"), 422, "invalid_input"),
        (await raise_rights(admin, ada, permission=LIST, expires_in=59), 400, "invalid_request"),
        (await raise_rights(admin, ada, permission=LIST, expires_in=604_801), 400, "invalid_request"),
    )
    assert [(answer.status_code, code(answer)) for answer, _, _ in cases] == [
        (status, name) for _, status, name in cases
    ]


async def test_rights_for_a_while_are_not_passed_on(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada, bob = (
        await platform.account(tenant, ADMINISTRATOR),
        await platform.account(tenant),
        await platform.account(tenant),
    )
    assert (await raise_rights(admin, ada, role="administrator")).status_code == 201
    for answer in (
        await raise_rights(ada, bob, permission=LIST),
        await edit(ada, ("member", LIST, True)),
        await ada.client.put(f"{ACCOUNTS}/{bob.id}/roles", json={"roles": ["administrator"]}),
    ):
        assert (answer.status_code, code(answer)) == (403, "authorization.not_held")


async def test_the_platforms_stay_its_own_whoever_writes_the_row(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    for column, value in (("role", "operator"), ("permission", "kernel:job.read")):
        with pytest.raises(asyncpg.CheckViolationError):
            async with platform.work(platform.system(tenant)) as work:
                await work.execute(
                    f"INSERT INTO kernel_overrides (id, tenant_id, account_id, {column}, reason, expires_at)"
                    " VALUES (gen_random_uuid(), $1, $2, $3, 'x', now() + interval '1 hour')",
                    tenant,
                    ada.id,
                    value,
                )
