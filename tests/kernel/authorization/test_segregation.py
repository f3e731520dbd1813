"""Duties that are kept apart: in nobody's hands together, and on one object by nobody both."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from pegboard.audit.writer import record_refusal
from pegboard.authorization.dynamic_segregation import AlreadyDidTheOther
from pegboard.authorization.schemas import NewRule
from pegboard.authorization.segregation import SegregationService
from pegboard.identity.accounts import AccountService
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditLog

from tests.kernel.authorization.factories import ADMINISTRATOR, PATH, code, edit
from tests.support.platform import Account, TestPlatform

RULES = f"{PATH}/segregation"
ACCOUNTS = "/api/v1/admin/accounts"
SEGREGATED = (409, "authorization.duties_segregated")
READ, REFUND = "finance:ledger.read", "finance:escrow.refund"


async def add(by: Account, first: str, second: str, **more: str) -> httpx.Response:
    return await by.client.post(
        RULES, json={"first": first, "second": second, "summary": "They check each other.", **more}
    )


async def give(by: Account, to: Account, *roles: str) -> httpx.Response:
    return await by.client.put(f"{ACCOUNTS}/{to.id}/roles", json={"roles": list(roles)})


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, code(answer)


async def test_a_plugins_rule_keeps_two_roles_apart(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    assert (await give(admin, ada, "finance_clerk")).status_code == 200
    both = await give(admin, ada, "finance_clerk", "finance_controller")
    assert told(both) == SEGREGATED
    assert "finance.clerk_and_controller" in both.json()["detail"]
    swapped = await give(admin, ada, "finance_controller")
    assert swapped.json()["roles"] == ["finance_controller", "member"]
    raised = await admin.client.post(
        f"{PATH}/overrides",
        json={"account_id": str(ada.id), "role": "finance_clerk", "reason": "help", "expires_in": 600},
    )
    assert told(raised) == SEGREGATED


async def test_nobody_is_created_with_both(platform: TestPlatform, tenant: UUID) -> None:
    with pytest.raises(Exception, match="apart, and the account would hold both"):
        await platform.account(tenant, ("finance_clerk", "finance_controller"))


async def roles_apart(admin: Account) -> None:
    """Two roles with a permission each, which the administrator's own role doesn't grant both of, and a rule."""
    for name in ("reader", "refunder"):
        assert (await admin.client.post(f"{PATH}/roles", json={"name": name})).status_code == 201
    made = await edit(admin, ("reader", READ, True), ("refunder", REFUND, True))
    assert made.status_code == 200, made.text


async def test_a_rule_of_the_marketplaces_own_is_refused_while_it_is_broken(
    platform: TestPlatform, tenant: UUID
) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    await roles_apart(admin)
    broken = await add(admin, READ, REFUND)
    assert told(broken) == SEGREGATED
    assert "the role administrator" in broken.json()["detail"]
    assert (await edit(admin, ("administrator", READ, False), ("finance_clerk", READ, False))).status_code == 200
    assert (await give(admin, ada, "reader", "refunder")).status_code == 200
    broken = await add(admin, READ, REFUND)
    assert told(broken) == SEGREGATED
    assert str(ada.id) in broken.json()["detail"]
    assert (await give(admin, ada, "reader")).status_code == 200
    made = await add(admin, READ, REFUND)
    assert made.status_code == 201, made.text
    again = await add(admin, REFUND, READ)
    assert told(again) == (409, "conflict")
    # From here on it binds, whichever way somebody would come to hold both.
    assert told(await give(admin, ada, "reader", "refunder")) == SEGREGATED
    assert told(await edit(admin, ("reader", REFUND, True))) == SEGREGATED
    assert told(await edit(admin, ("member", REFUND, True))) == SEGREGATED
    raised = await admin.client.post(
        f"{PATH}/overrides",
        json={"account_id": str(ada.id), "permission": REFUND, "reason": "help", "expires_in": 600},
    )
    assert told(raised) == SEGREGATED
    shown = (await admin.client.get(RULES)).json()
    assert made.json() in shown["rules"]
    assert shown["violations"] == []
    assert (await admin.client.delete(f"{RULES}/{made.json()['id']}")).status_code == 204
    assert (await give(admin, ada, "reader", "refunder")).status_code == 200


async def waits_for_a_lock(platform: TestPlatform) -> None:
    """Return once some transaction waits for another."""
    async with asyncio.timeout(10), platform.runtime.database.system.acquire() as connection:
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            pass


@pytest.mark.parametrize("first", ["rule", "roles"])
async def test_a_rule_and_a_role_at_once_do_not_slip_past_each_other(
    platform: TestPlatform, tenant: UUID, first: str
) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    for name in ("one_duty", "another_duty"):
        await admin.client.post(f"{PATH}/roles", json={"name": name})
    duties = ["one_duty", "another_duty"]
    async with platform.work(platform.system(tenant)) as work:
        if first == "rule":
            await SegregationService(work).add(NewRule(first=duties[0], second=duties[1], summary="Apart."))
            second = asyncio.create_task(give(admin, ada, *duties))
        else:
            await AccountService(platform.runtime).set_roles(work, ada.id, duties)
            second = asyncio.create_task(add(admin, *duties))
        await waits_for_a_lock(platform)
    assert told(await second) == SEGREGATED


@pytest.mark.parametrize(
    "rule",
    [
        {"first": READ, "second": READ},
        {"first": "nobody", "second": READ},
        {"first": "finance:nothing.do", "second": READ},
        {"first": "finance_clerk", "second": READ, "object_type": "finance.escrow"},
    ],
)
async def test_rules_that_make_no_sense(platform: TestPlatform, tenant: UUID, rule: dict[str, Any]) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    assert told(await add(admin, **rule)) == (422, "invalid_input")


async def test_what_plugins_made_can_not_be_removed(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    rules = {rule["name"]: rule for rule in (await admin.client.get(RULES)).json()["rules"]}
    assert rules["finance.clerk_and_controller"]["id"] is None
    assert rules["finance.payer_and_approver"]["kind"] == "dynamic"
    assert (await admin.client.delete(f"{RULES}/{new_id()}")).status_code == 404


async def apart(platform: TestPlatform, tenant: UUID) -> None:
    """Who has drafted a document can't publish it, from now on."""
    admin = await platform.account(tenant, ADMINISTRATOR)
    made = await add(admin, "test:document.draft", "test:document.publish", object_type="test.document")
    assert made.status_code == 201, made.text


async def act(platform: TestPlatform, who: Account, action: str, document: UUID, *, then: Any = None) -> None:
    async with platform.work(who.principal) as work:
        await work.audit(f"test:document.{action}", object_type="test.document", object_id=document)
        if then is not None:
            await then()


async def test_who_did_one_thing_on_an_object_does_not_do_the_other(platform: TestPlatform, tenant: UUID) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    document, another = new_id(), new_id()
    await act(platform, ada, "draft", document)
    await apart(platform, tenant)  # it binds what was done before, too
    with pytest.raises(AlreadyDidTheOther, match=r"test:document\.draft"):
        await act(platform, ada, "publish", document)
    await act(platform, bob, "publish", document)
    await act(platform, ada, "publish", another)
    await act(platform, ada, "draft", another)  # the rule has one direction
    async with platform.work(platform.system(tenant)) as work:
        await work.audit("test:document.publish", object_type="test.document", object_id=document)
        page = await work.service(AuditLog).search(work, action="test:document.publish", object_id=document)
    assert [entry.actor_id for entry in page.items] == [None, bob.id], "what was refused is not on record as done"


async def test_what_was_rolled_back_or_refused_was_not_done(platform: TestPlatform, tenant: UUID) -> None:
    ada, document = await platform.account(tenant), new_id()
    await apart(platform, tenant)

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await act(platform, ada, "draft", document, then=fail)
    await record_refusal(
        platform.runtime,
        ada.principal,
        "test:document.draft",
        "x",
        new_id().hex,
        object_type="test.document",
        object_id=document,
    )
    await act(platform, ada, "publish", document)


async def test_two_at_once_do_not_slip_past_each_other(platform: TestPlatform, tenant: UUID) -> None:
    ada, document = await platform.account(tenant), new_id()
    await apart(platform, tenant)
    publishing: list[asyncio.Task[None]] = []

    async def publish_meanwhile() -> None:
        publishing.append(asyncio.create_task(act(platform, ada, "publish", document)))
        await waits_for_a_lock(platform)

    await act(platform, ada, "draft", document, then=publish_meanwhile)
    with pytest.raises(AlreadyDidTheOther):
        await publishing[0]
