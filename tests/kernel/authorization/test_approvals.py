"""Four eyes: one person asks, another decides, and it is done once or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.authorization.errors import ApprovalClosed, OwnRequest
from pegboard.authorization.jobs import RECORD_EXPIRY, RecordExpiry
from pegboard.plugins.registry import Registry
from pegboard.work import Work, transact
from pegboard_sdk import UnitOfWork
from pegboard_sdk.errors import Conflict, DomainError, Forbidden, NotFound
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import Approvals, ApprovalView, AuditLog

from tests.kernel.authorization.factories import code
from tests.kernel.authorization.registries import KIND, Payload, deeds, note, with_kind
from tests.support.platform import Account, TestPlatform

CONTROLLER = ("member", "finance_controller")
PATH = "/api/v1/approvals"


class Office:
    """A tenant in which finance does deeds that take two people."""

    def __init__(self, platform: TestPlatform, registry: Registry) -> None:
        self.platform = platform
        self.registry = registry

    @asynccontextmanager
    async def work(self, who: Account, *, plugin: str = "finance") -> AsyncIterator[Work]:
        runtime, request_id = self.platform.runtime, new_id().hex
        async with transact(runtime, self.registry, who.principal, request_id, plugin=plugin) as work:
            yield work

    async def ask(self, who: Account, number: int = 1, *, object_id: str = "1") -> ApprovalView:
        async with self.work(who) as work:
            return await work.service(Approvals).request(
                work, KIND, Payload(number), object_type="finance.test_deed", object_id=object_id, summary="Do it."
            )

    async def decide(self, who: Account, approval: ApprovalView, how: str, **more: Any) -> ApprovalView:
        async with self.work(who) as work:
            return await getattr(work.service(Approvals), how)(work, approval.id, **more)

    async def done(self, tenant: UUID) -> int:
        async with self.platform.work(self.platform.system(tenant)) as work:
            return await deeds(work)


@pytest.fixture
def office(platform: TestPlatform) -> Office:
    return Office(platform, with_kind(platform.registry, note))


async def test_somebody_else_approves_and_it_is_done(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant, CONTROLLER)
    approval = await office.ask(ada)
    assert (approval.state, approval.requested_by, approval.permission) == ("pending", ada.id, "finance:refund.approve")
    assert await office.done(tenant) == 0
    closed = await office.decide(bob, approval, "approve", reason="fine")
    assert (closed.state, closed.decided_by, closed.decision_reason) == ("executed", bob.id, "fine")
    assert await office.done(tenant) == 1
    for how, more in (("approve", {}), ("reject", {"reason": "no"})):
        with pytest.raises(ApprovalClosed, match="executed already"):
            await office.decide(bob, approval, how, **more)
    with pytest.raises(ApprovalClosed):
        await office.decide(ada, approval, "withdraw")
    assert await office.done(tenant) == 1
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, object_id="1")
    assert [(entry.action, entry.actor_id) for entry in page.items] == [
        ("finance:test_deed.do", bob.id),
        ("account:approval.decide", bob.id),
        ("account:approval.request", ada.id),
    ]


async def test_nobody_decides_their_own(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    bob = await platform.account(tenant, CONTROLLER)
    approval = await office.ask(bob)
    for how, more in (("approve", {}), ("reject", {"reason": "no"})):
        with pytest.raises(OwnRequest):
            await office.decide(bob, approval, how, **more)
    with pytest.raises(asyncpg.CheckViolationError):  # whoever writes the row
        async with platform.work(platform.system(tenant)) as work:
            await work.execute(
                "UPDATE kernel_approvals SET state = 'executed', decided_by = requested_by, decided_at = now()"
                " WHERE id = $1",
                approval.id,
            )
    assert (await office.decide(bob, approval, "withdraw")).state == "withdrawn"
    assert await office.done(tenant) == 0


async def test_deciding_takes_the_kinds_permission(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    approval = await office.ask(ada)
    with pytest.raises(NotFound):
        await office.decide(eve, approval, "approve")
    with pytest.raises(NotFound):
        await office.decide(eve, approval, "withdraw")
    stranger = await platform.account(await platform.tenant(), CONTROLLER)
    with pytest.raises(NotFound):
        await office.decide(stranger, approval, "approve")
    with pytest.raises(Forbidden, match="for people"):
        async with platform.work(platform.system(tenant)) as work:
            await work.service(Approvals).approve(work, approval.id)
    assert await office.done(tenant) == 0


async def test_what_is_rejected_is_not_done(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant, CONTROLLER)
    approval = await office.ask(ada)
    closed = await office.decide(bob, approval, "reject", reason="too much")
    assert (closed.state, closed.decision_reason) == ("rejected", "too much")
    with pytest.raises(ApprovalClosed):
        await office.decide(bob, approval, "approve")
    assert await office.done(tenant) == 0
    assert (await office.ask(ada)).id != approval.id, "it can be asked for again"


async def test_the_same_request_again_is_the_same(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    approval = await office.ask(ada)
    assert await office.ask(ada) == approval
    for who, number in ((ada, 2), (eve, 1)):
        with pytest.raises(Conflict, match="waiting for a decision"):
            await office.ask(who, number)
    assert (await office.ask(eve, object_id="2")).id != approval.id


async def test_what_can_not_be_done_decides_nothing(platform: TestPlatform, tenant: UUID) -> None:
    fails = True

    async def fail(uow: UnitOfWork, payload: Payload) -> None:
        await note(uow, payload)
        if fails:
            raise Conflict("Not now.")

    office = Office(platform, with_kind(platform.registry, fail))
    ada, bob = await platform.account(tenant), await platform.account(tenant, CONTROLLER)
    approval = await office.ask(ada)
    with pytest.raises(Conflict, match="Not now"):
        await office.decide(bob, approval, "approve")
    assert await office.done(tenant) == 0
    fails = False
    assert (await office.decide(bob, approval, "approve")).state == "executed"
    assert await office.done(tenant) == 1


async def test_of_many_who_approve_at_once_one_does_it(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada = await platform.account(tenant)
    controllers = [await platform.account(tenant, CONTROLLER) for _ in range(5)]
    approval = await office.ask(ada)
    tries = [office.decide(bob, approval, "approve") for bob in controllers]
    tries.append(office.decide(ada, approval, "withdraw"))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert len([one for one in outcomes if isinstance(one, ApprovalView)]) == 1
    assert len([one for one in outcomes if isinstance(one, ApprovalClosed)]) == 5
    async with office.work(ada) as work:
        state = (await work.service(Approvals).get(work, approval.id)).state
    assert await office.done(tenant) == (1 if state == "executed" else 0)


async def expired(office: Office, asker: Account, approval: ApprovalView) -> None:
    """Wait until an approval's time is over."""
    async with asyncio.timeout(5), office.work(asker) as work:
        while (await work.service(Approvals).get(work, approval.id)).state == "pending":
            pass


async def test_it_expires(platform: TestPlatform, tenant: UUID) -> None:
    office = Office(platform, with_kind(platform.registry, note, ttl=0.01))
    ada, bob = await platform.account(tenant), await platform.account(tenant, CONTROLLER)
    approval = await office.ask(ada)
    await expired(office, ada, approval)
    for who, how in ((bob, "approve"), (ada, "withdraw")):
        with pytest.raises(ApprovalClosed, match="expired"):
            await office.decide(who, approval, how)
    again = await office.ask(ada)
    assert again.id != approval.id, "what has expired is in nobody's way"
    await expired(office, ada, again)
    async with platform.work(platform.system(tenant)) as work:
        await work.enqueue(RECORD_EXPIRY, RecordExpiry())
    await platform.drain()
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:approval.expire")
        states = await work.fetch("SELECT DISTINCT state FROM kernel_approvals")
    assert sorted(str((entry.after or {})["approval"]) for entry in page.items) == sorted(
        [str(approval.id), str(again.id)]
    )
    assert [row["state"] for row in states] == ["expired"]
    assert await office.done(tenant) == 0


async def test_plugins_handle_their_own_only(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    """As finance, to whom the kind belongs, and as governance, to whom it does not."""
    ada = await platform.account(tenant)
    approval = await office.ask(ada)
    async with office.work(ada, plugin="kernel") as kernel:
        implementation = kernel.service(Approvals)
        stranger = kernel.acting_as("governance")
        with pytest.raises(NotFound):
            await implementation.get(stranger, approval.id)
        with pytest.raises(LookupError):
            await implementation.request(
                stranger, KIND, Payload(1), object_type="x", object_id="1", summary="Not theirs."
            )


async def test_over_http(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant, CONTROLLER)
    eve = await platform.account(tenant)
    approval = await office.ask(ada)
    assert [one["id"] for one in (await ada.client.get(PATH)).json()["items"]] == [str(approval.id)]
    assert (await eve.client.get(PATH)).json()["items"] == []
    assert (await eve.client.get(f"{PATH}/{approval.id}")).status_code == 404
    shown = await ada.client.get(f"{PATH}/{approval.id}")
    assert (shown.status_code, shown.json()["state"]) == (200, "pending")
    own = await ada.client.post(f"{PATH}/{approval.id}/approve", json={})
    assert (own.status_code, code(own)) == (403, "authorization.own_request")
    unreasoned = await bob.client.post(f"{PATH}/{approval.id}/reject", json={})
    assert unreasoned.status_code == 400
    # The running application has no such kind: what its plugin would do can't be done while it is off.
    off = await bob.client.post(f"{PATH}/{approval.id}/approve", json={})
    assert (off.status_code, code(off)) == (409, "authorization.approval_closed")
    rejected = await bob.client.post(f"{PATH}/{approval.id}/reject", json={"reason": "no"})
    assert (rejected.status_code, rejected.json()["state"]) == (200, "rejected")
    listed = (await ada.client.get(PATH, params={"state": "rejected", "kind": KIND})).json()["items"]
    assert [one["decision_reason"] for one in listed] == ["no"]
    assert (await ada.client.get(PATH, params={"state": "pending"})).json()["items"] == []
    gone = await ada.client.post(f"{PATH}/{approval.id}/withdraw")
    assert (gone.status_code, code(gone)) == (409, "authorization.approval_closed")


async def test_a_request_says_what_it_is_for(platform: TestPlatform, tenant: UUID, office: Office) -> None:
    ada = await platform.account(tenant)
    for summary in ("", "x" * 501):
        with pytest.raises(DomainError, match="what will be done"):
            async with office.work(ada) as work:
                await work.service(Approvals).request(
                    work, KIND, Payload(1), object_type="finance.test_deed", object_id="1", summary=summary
                )
