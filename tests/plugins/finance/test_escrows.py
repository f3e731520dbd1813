"""The Escrow service, as other plugins use it."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from pegboard_finance.errors import EscrowInWrongState, EscrowNotFound, EscrowReferenceTaken, EscrowTermsInvalid
from pegboard_sdk import Money, new_id
from pegboard_sdk.services import Escrow, EscrowView

from tests.plugins.finance.factories import Deal, amount_in, fund, held_deal, ledger_totals, open_deal, run_janitor
from tests.support.platform import TestPlatform


async def call(platform: TestPlatform, tenant: UUID, method: str, *args: Any, **terms: Any) -> EscrowView:
    """One method of the service, in a transaction of its own."""
    async with platform.work(platform.system(tenant)) as work:
        return await getattr(work.service(Escrow), method)(work, *args, **terms)


async def events(platform: TestPlatform, deal: Deal) -> list[str]:
    """The names of the events about the escrow, in the order that they happened."""
    async with platform.work(platform.system(deal.tenant)) as work:
        rows = await work.fetch(
            "SELECT name FROM kernel_events WHERE payload ->> 'escrow_id' = $1 ORDER BY id", str(deal.id)
        )
    return [row["name"] for row in rows]


async def audited(platform: TestPlatform, object_id: UUID) -> list[str]:
    """What the audit trail says was done to the object."""
    async with platform.runtime.database.system_transaction() as connection:
        rows = await connection.fetch(
            "SELECT action FROM kernel_audit_entries WHERE object_id = $1 ORDER BY id", str(object_id)
        )
    return [row["action"] for row in rows]


async def test_release_pays_the_payee_and_the_platform(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant, 9_995)

    released = await call(platform, tenant, "release", deal.id)

    assert released.state == "released"
    assert await ledger_totals(platform, tenant) == {
        "provider_clearing": -9_995,
        "wallet": 8_995,
        "platform_fees": 1_000,
    }
    assert await amount_in(platform, tenant, "wallet", deal.payee.id) == 8_995
    assert await events(platform, deal) == ["finance.escrow_funded", "finance.escrow_released"]
    assert await audited(platform, deal.id) == ["finance:escrow.fund", "finance:escrow.release"]


@pytest.mark.parametrize(("amount", "expected"), [(4, {"wallet": 4}), (5, {"wallet": 4, "platform_fees": 1})])
async def test_a_share_of_nothing_is_not_posted(
    platform: TestPlatform, tenant: UUID, amount: int, expected: dict[str, int]
):
    deal = await held_deal(platform, tenant, amount)

    await call(platform, tenant, "release", deal.id)

    assert await ledger_totals(platform, tenant) == {"provider_clearing": -amount, **expected}


async def test_refund_gives_the_money_back_through_the_provider(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)

    refunded = await call(platform, tenant, "refund", deal.id)

    assert refunded.state == "refunded"
    assert await ledger_totals(platform, tenant) == {"provider_clearing": -10_000, "refunds": 10_000}

    await platform.drain()

    assert await ledger_totals(platform, tenant) == {}
    shown = (await deal.payer.client.get(deal.path)).json()
    assert (shown["state"], shown["payment"]["state"]) == ("refunded", "returned")
    assert await events(platform, deal) == ["finance.escrow_funded", "finance.escrow_refunded"]
    assert await audited(platform, deal.id) == ["finance:escrow.fund", "finance:escrow.refund"]
    assert await audited(platform, UUID(shown["payment"]["id"])) == ["finance:payment.return"]


async def test_refund_cancels_what_was_never_funded(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    assert (await call(platform, tenant, "refund", deal.id)).state == "cancelled"
    assert (await call(platform, tenant, "refund", deal.id)).state == "cancelled"
    assert await events(platform, deal) == ["finance.escrow_cancelled"]
    assert (await fund(deal)).json()["code"] == "finance.escrow_in_wrong_state"
    assert await ledger_totals(platform, tenant) == {}


@pytest.mark.parametrize("method", ["release", "refund"])
async def test_twice_changes_nothing(platform: TestPlatform, tenant: UUID, method: str):
    deal = await held_deal(platform, tenant)
    first = await call(platform, tenant, method, deal.id)
    await platform.drain()
    before = (await ledger_totals(platform, tenant), await events(platform, deal), await audited(platform, deal.id))

    second = await call(platform, tenant, method, deal.id)
    await platform.drain()

    assert first == second
    assert before == (
        await ledger_totals(platform, tenant),
        await events(platform, deal),
        await audited(platform, deal.id),
    )


async def test_release_and_refund_at_once_move_the_money_once(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)

    outcomes = await asyncio.gather(
        *(call(platform, tenant, ("release", "refund")[number % 2], deal.id) for number in range(6)),
        return_exceptions=True,
    )
    await platform.drain()

    states = {outcome.state for outcome in outcomes if isinstance(outcome, EscrowView)}
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(errors) == 3
    assert all(isinstance(error, EscrowInWrongState) for error in errors)
    released = {"provider_clearing": -10_000, "wallet": 9_000, "platform_fees": 1_000}
    assert (states, await ledger_totals(platform, tenant)) in (({"released"}, released), ({"refunded"}, {}))


@pytest.mark.parametrize("prepared", ["awaiting_funds", "refunded", "cancelled"])
async def test_only_held_money_is_released(platform: TestPlatform, tenant: UUID, prepared: str):
    deal = await (held_deal if prepared == "refunded" else open_deal)(platform, tenant)
    if prepared != "awaiting_funds":
        await call(platform, tenant, "refund", deal.id)

    with pytest.raises(EscrowInWrongState):
        await call(platform, tenant, "release", deal.id)

    assert (await call(platform, tenant, "get", deal.id)).state == prepared


async def test_what_was_released_is_not_refunded(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)
    await call(platform, tenant, "release", deal.id)

    with pytest.raises(EscrowInWrongState):
        await call(platform, tenant, "refund", deal.id)


@pytest.mark.parametrize("method", ["get", "release", "refund"])
async def test_there_is_none(platform: TestPlatform, tenant: UUID, method: str):
    deal = await held_deal(platform, await platform.tenant())

    for escrow_id in (new_id(), deal.id):
        with pytest.raises(EscrowNotFound):
            await call(platform, tenant, method, escrow_id)


async def test_opening_again_on_the_same_terms_gives_the_same_escrow(platform: TestPlatform, tenant: UUID):
    terms = {"reference": "test.deal:1", "payer": new_id(), "payee": new_id(), "money": Money(500, "EUR")}

    opened = await asyncio.gather(*(call(platform, tenant, "open", **terms) for _ in range(4)))

    assert len({escrow.id for escrow in opened}) == 1
    for changed in ({"payer": new_id()}, {"payee": new_id()}, {"money": Money(501, "EUR")}):
        with pytest.raises(EscrowReferenceTaken):
            await call(platform, tenant, "open", **{**terms, **changed})
    other_tenant = await call(platform, await platform.tenant(), "open", **terms)
    assert other_tenant.id != opened[0].id


@pytest.mark.parametrize("money", [Money(0, "EUR"), Money(-1, "EUR"), Money(10**12 + 1, "EUR"), Money(1, "euro")])
async def test_terms_that_make_no_sense(platform: TestPlatform, tenant: UUID, money: Money):
    with pytest.raises(EscrowTermsInvalid):
        await call(platform, tenant, "open", reference="test.deal:1", payer=new_id(), payee=new_id(), money=money)


async def test_nobody_pays_themselves(platform: TestPlatform, tenant: UUID):
    me = new_id()
    with pytest.raises(EscrowTermsInvalid):
        await call(platform, tenant, "open", reference="test.deal:1", payer=me, payee=me, money=Money(1, "EUR"))


async def test_a_release_that_is_rolled_back_did_not_happen(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)

    async def release_and_fail() -> None:
        async with platform.work(platform.system(tenant)) as work:
            await work.service(Escrow).release(work, deal.id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await release_and_fail()

    assert (await call(platform, tenant, "get", deal.id)).state == "held"
    assert await events(platform, deal) == ["finance.escrow_funded"]
    assert await amount_in(platform, tenant, "escrow", deal.id) == 10_000


async def test_the_janitor_leaves_settled_payments_alone(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)
    await run_janitor(platform, tenant)

    assert await events(platform, deal) == ["finance.escrow_funded"]
    assert await ledger_totals(platform, tenant) == {"provider_clearing": -10_000, "escrow": 10_000}
