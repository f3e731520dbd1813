"""Refunds that somebody asks for: above the limit somebody else has to approve them."""

from uuid import UUID

import httpx
import msgspec
import pytest
from pegboard.plugins.registry import Registry
from pegboard.work import transact
from pegboard_finance.service.refunds import refund_escrow
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import ApprovalView

from tests.plugins.finance.factories import Deal, fund, held_deal, ledger_totals, open_deal, with_finance
from tests.support.platform import Account, TestPlatform

APPROVALS = "/api/v1/approvals"
CLERK = ("member", "finance_clerk")
CONTROLLER = ("member", "finance_controller")


async def ask(platform: TestPlatform, who: Account, deal: Deal, *, limit: int | None) -> ApprovalView | None:
    """Ask for a refund where the marketplace's limit is `limit`."""
    registry: Registry = with_finance(platform, refund_limit=limit)
    async with transact(platform.runtime, registry, who.principal, new_id().hex, plugin="finance") as work:
        return await refund_escrow(work, deal.id, reason="The buyer asks for it.")


async def approve(who: Account, approval: ApprovalView | None) -> httpx.Response:
    assert approval is not None
    return await who.client.post(f"{APPROVALS}/{approval.id}/approve", json={})


async def state(platform: TestPlatform, deal: Deal) -> str:
    return (await deal.payer.client.get(deal.path)).json()["state"]


@pytest.mark.parametrize("limit", [None, 10_000])
async def test_up_to_the_limit_it_is_done_at_once(platform: TestPlatform, tenant: UUID, limit: int | None) -> None:
    deal, clerk = await held_deal(platform, tenant, 10_000), await platform.account(tenant, CLERK)
    assert await ask(platform, clerk, deal, limit=limit) is None
    assert await state(platform, deal) == "refunded"


async def test_above_it_somebody_else_approves(platform: TestPlatform, tenant: UUID) -> None:
    deal, clerk = await held_deal(platform, tenant, 10_000), await platform.account(tenant, CLERK)
    controller = await platform.account(tenant, CONTROLLER)
    approval = await ask(platform, clerk, deal, limit=9_999)
    assert approval is not None
    assert "10000 minor units of EUR" in approval.summary
    assert await state(platform, deal) == "held"
    own = await approve(clerk, approval)
    assert own.status_code == 403
    assert (await controller.client.get(deal.path)).status_code == 200, "who decides sees what it is about"
    approved = await approve(controller, approval)
    assert (approved.status_code, approved.json()["state"]) == (200, "executed")
    assert await state(platform, deal) == "refunded"
    assert (await approve(controller, approval)).status_code == 409
    await platform.drain()
    assert await ledger_totals(platform, tenant) == {}


async def test_who_has_paid_does_not_approve(platform: TestPlatform, tenant: UUID) -> None:
    clerk, other = await platform.account(tenant, CLERK), await platform.account(tenant, CONTROLLER)
    deal = await open_deal(platform, tenant)
    payer = await platform.account(tenant, CONTROLLER)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE finance_escrows SET payer_id = $2 WHERE id = $1", deal.id, payer.id)
    deal = msgspec.structs.replace(deal, payer=payer)
    assert (await fund(deal)).status_code == 200
    approval = await ask(platform, clerk, deal, limit=0)
    refused = await approve(payer, approval)
    assert (refused.status_code, refused.json()["code"]) == (403, "authorization.already_acted")
    assert "own payment" in refused.json()["detail"]
    assert await state(platform, deal) == "held"
    assert (await approve(other, approval)).status_code == 200


async def test_what_went_another_way_meanwhile_is_not_refunded(platform: TestPlatform, tenant: UUID) -> None:
    deal, clerk = await held_deal(platform, tenant, 10_000), await platform.account(tenant, CLERK)
    controller = await platform.account(tenant, CONTROLLER)
    approval = await ask(platform, clerk, deal, limit=0)
    assert await ask(platform, clerk, deal, limit=None) is None
    refused = await approve(controller, approval)
    assert (refused.status_code, refused.json()["code"]) == (409, "finance.escrow_in_wrong_state")
    assert approval is not None
    rejected = await controller.client.post(f"{APPROVALS}/{approval.id}/reject", json={"reason": "done already"})
    assert rejected.status_code == 200


async def test_what_was_never_funded_is_called_off_at_once(platform: TestPlatform, tenant: UUID) -> None:
    deal, clerk = await open_deal(platform, tenant), await platform.account(tenant, CLERK)
    assert await ask(platform, clerk, deal, limit=0) is None
    assert await state(platform, deal) == "cancelled"
