"""Funding an escrow: one charge, whatever breaks, and the same answer however often it is asked for."""

import asyncio
from uuid import UUID

import pytest
from pegboard_finance.service.payments import SETTLE_PAYMENTS
from pegboard_sdk import new_id

from tests.plugins.finance.factories import fund, ledger_totals, open_deal, run_janitor
from tests.support.platform import TestPlatform

HELD = {"provider_clearing": -10_000, "escrow": 10_000}


async def charges(platform: TestPlatform, tenant: UUID) -> list[str]:
    """The states of the charges that reached the sandbox, oldest first."""
    async with platform.work(platform.system(tenant)) as work:
        return [row["state"] for row in await work.fetch("SELECT state FROM finance_sandbox_charges ORDER BY id")]


async def make_old(platform: TestPlatform, tenant: UUID) -> None:
    """Let the tenant's payments be an hour older."""
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE finance_payments SET created_at = created_at - interval '1 hour',"
            " checked_at = checked_at - interval '1 hour' WHERE tenant_id = $1",
            tenant,
        )


async def test_a_payment_that_succeeds(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answer = await fund(deal)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["state"] == "held"
    assert body["money"] == {"amount": 10_000, "currency": "EUR"}
    assert body["fee"] == {"amount": 1_000, "currency": "EUR"}
    assert (body["payment"]["state"], body["payment"]["provider"]) == ("succeeded", "sandbox")
    assert (await deal.payee.client.get(deal.path)).json() == body
    assert await ledger_totals(platform, tenant) == HELD


async def test_a_payment_that_is_declined(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answer = await fund(deal, "card_declined")

    assert answer.status_code == 402
    assert answer.json()["code"] == "finance.payment_declined"
    assert "insufficient_funds" in answer.json()["detail"]
    shown = (await deal.payer.client.get(deal.path)).json()
    assert (shown["state"], shown["payment"]["state"]) == ("awaiting_funds", "declined")
    assert shown["payment"]["decline_code"] == "insufficient_funds"
    async with platform.work(platform.system(tenant)) as work:
        assert await work.fetchval("SELECT count(*) FROM kernel_events WHERE name = 'finance.payment_declined'") == 1
    assert await ledger_totals(platform, tenant) == {}

    assert (await fund(deal)).status_code == 200
    assert await ledger_totals(platform, tenant) == HELD


async def test_a_method_that_the_provider_does_not_know_is_declined(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answer = await fund(deal, "gold_coins")

    assert answer.status_code == 402
    assert "no_such_method" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "state", "payment", "totals"),
    [
        ("card_unknown", "held", "succeeded", HELD),
        ("card_unknown_declined", "awaiting_funds", "declined", {}),
    ],
)
async def test_an_answer_that_is_lost_is_asked_for_again(
    platform: TestPlatform, tenant: UUID, method: str, state: str, payment: str, totals: dict[str, int]
):
    deal = await open_deal(platform, tenant)

    answer = await fund(deal, method)

    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["payment"]["state"]) == ("awaiting_funds", "unknown")
    assert await ledger_totals(platform, tenant) == {}
    again = await fund(deal)
    assert (again.status_code, again.json()["code"]) == (409, "finance.payment_under_way")

    for _ in range(2):
        await run_janitor(platform, tenant)
        shown = (await deal.payer.client.get(deal.path)).json()
        assert (shown["state"], shown["payment"]["state"]) == (state, payment)
        assert await ledger_totals(platform, tenant) == totals
    assert len(await charges(platform, tenant)) == 1


async def test_a_charge_that_never_arrived_is_given_up_in_time(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    assert (await fund(deal, "card_unreachable")).status_code == 202

    await run_janitor(platform, tenant)
    assert (await deal.payer.client.get(deal.path)).json()["payment"]["state"] == "unknown"
    assert (await fund(deal)).status_code == 409

    await make_old(platform, tenant)
    await run_janitor(platform, tenant)
    assert (await deal.payer.client.get(deal.path)).json()["payment"]["state"] == "lapsed"
    assert (await fund(deal)).status_code == 200
    assert await charges(platform, tenant) == ["succeeded"]
    assert await ledger_totals(platform, tenant) == HELD


async def test_a_card_number_is_refused_and_not_repeated(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answer = await fund(deal, "4242424242424242")

    assert answer.status_code == 400
    assert "4242" not in answer.text
    async with platform.work(platform.system(tenant)) as work:
        assert await work.fetchval("SELECT count(*) FROM finance_payments") == 0


async def test_the_janitor_comes_every_minute(platform: TestPlatform):
    schedule = platform.registry.schedules["finance.settle_payments"]
    assert (schedule.job, schedule.cron) == (SETTLE_PAYMENTS, "* * * * *")


async def test_a_key_is_required(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answer = await deal.payer.client.post(f"{deal.path}/fund", json={"provider": "sandbox", "method": "card_success"})

    assert answer.status_code == 400
    assert await charges(platform, tenant) == []


@pytest.mark.parametrize("method", ["card_success", "card_declined", "card_unknown"])
async def test_the_same_key_gives_the_same_answer_and_one_charge(platform: TestPlatform, tenant: UUID, method: str):
    deal = await open_deal(platform, tenant)
    key = str(new_id())

    first = await fund(deal, method, key=key)
    second = await fund(deal, method, key=key)

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert len(await charges(platform, tenant)) == 1
    assert (await fund(deal, "another_method", key=key)).status_code == 422


async def test_funding_again_with_another_key_charges_nothing(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    first = await fund(deal)

    second = await fund(deal)

    assert (second.status_code, second.json()) == (200, first.json())
    assert await charges(platform, tenant) == ["succeeded"]


async def test_many_who_fund_at_once_are_charged_once(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answers = await asyncio.gather(*(fund(deal) for _ in range(6)))

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert await charges(platform, tenant) == ["succeeded"]
    assert await ledger_totals(platform, tenant) == HELD
    async with platform.work(platform.system(tenant)) as work:
        assert await work.fetchval("SELECT count(*) FROM kernel_events WHERE name = 'finance.escrow_funded'") == 1


async def test_only_the_payer_pays(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    stranger = await platform.account(tenant)
    foreigner = await platform.account(await platform.tenant())

    answers = [await fund(deal, who=who) for who in (deal.payee, stranger, foreigner)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "finance.not_the_payer"),
        (404, "finance.escrow_not_found"),
        (404, "finance.escrow_not_found"),
    ]
    assert await charges(platform, tenant) == []


async def test_a_provider_that_nobody_offers(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    answer = await deal.payer.client.post(
        f"{deal.path}/fund",
        json={"provider": "piggy_bank", "method": "x"},
        headers={"Idempotency-Key": str(new_id())},
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "finance.provider_unknown")
    assert answer.json()["errors"][0]["pointer"] == "/provider"
