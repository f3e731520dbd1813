"""Balances, statements and the trial balance, and who may see what."""

from typing import Any
from uuid import UUID

import pytest
from pegboard_sdk import Money, new_id
from pegboard_sdk.services import Escrow

from tests.plugins.finance.factories import Deal, fund, held_deal, open_deal, open_escrow
from tests.support.platform import Account, TestPlatform


async def release(platform: TestPlatform, deal: Deal) -> None:
    async with platform.work(platform.system(deal.tenant)) as work:
        await work.service(Escrow).release(work, deal.id)


async def statement(account: Account, limit: int) -> list[dict[str, Any]]:
    """Every line, page by page."""
    lines: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = (await account.client.get("/api/v1/finance/statement", params=parameters)).json()
        lines += page["items"]
        assert len(lines) <= 20, "the pages don't end"
        cursor = page["next_cursor"]
        if cursor is None:
            return lines


async def test_somebody_without_money(platform: TestPlatform, tenant: UUID):
    member = await platform.account(tenant)

    assert (await member.client.get("/api/v1/finance/balance")).json() == {"wallets": []}
    assert (await member.client.get("/api/v1/finance/statement")).json() == {"items": [], "next_cursor": None}


async def test_balance_and_statement_of_who_was_paid(platform: TestPlatform, tenant: UUID):
    payer, payee = await platform.account(tenant), await platform.account(tenant)
    prices = [("EUR", 100), ("USD", 2_000), ("EUR", 30_000), ("EUR", 4), ("USD", 50)]
    for currency, amount in prices:
        escrow = await open_escrow(platform, tenant, payer.id, payee.id, Money(amount, currency))
        deal = Deal(tenant=tenant, payer=payer, payee=payee, escrow=escrow)
        assert (await fund(deal)).status_code == 200
        await release(platform, deal)

    balance = (await payee.client.get("/api/v1/finance/balance")).json()
    assert balance == {"wallets": [{"amount": 27_094, "currency": "EUR"}, {"amount": 1_845, "currency": "USD"}]}
    for limit in (1, 2, 5, 100):
        lines = await statement(payee, limit)
        assert [line["money"] for line in lines] == [
            {"amount": 45, "currency": "USD"},
            {"amount": 4, "currency": "EUR"},
            {"amount": 27_000, "currency": "EUR"},
            {"amount": 1_800, "currency": "USD"},
            {"amount": 90, "currency": "EUR"},
        ]
        assert {line["kind"] for line in lines} == {"escrow_release"}
    assert (await statement(payer, 10)) == []


async def test_a_cursor_of_somebody_else(platform: TestPlatform, tenant: UUID):
    member = await platform.account(tenant)
    for cursor in ("x", "WyJhIl0", "WzEsMl0"):
        answer = await member.client.get("/api/v1/finance/statement", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_the_trial_balance_sums_to_zero(platform: TestPlatform, tenant: UUID):
    administrator = await platform.account(tenant, roles=("administrator",))
    deal = await held_deal(platform, tenant)
    await release(platform, deal)
    await held_deal(platform, tenant, 500)
    await held_deal(platform, await platform.tenant())

    trial = (await administrator.client.get("/api/v1/finance/ledger/trial-balance")).json()

    assert trial["sums"] == [{"amount": 0, "currency": "EUR"}]
    totals = {(total["kind"], total["purpose"]): total for total in trial["totals"]}
    assert {key: total["balance"] for key, total in totals.items()} == {
        ("asset", "provider_clearing"): -10_500,
        ("liability", "escrow"): 500,
        ("liability", "refunds"): 0,
        ("liability", "wallet"): 9_000,
        ("revenue", "platform_fees"): 1_000,
    }
    escrow = totals["liability", "escrow"]
    assert (escrow["debits"], escrow["credits"]) == (10_000, 10_500)


async def test_an_escrow_is_seen_by_its_parties_and_who_may_refund_it(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    readers = {
        "payer": deal.payer,
        "payee": deal.payee,
        "administrator": await platform.account(tenant, roles=("administrator",)),
        "stranger": await platform.account(tenant),
        "foreigner": await platform.account(await platform.tenant()),
        "foreign administrator": await platform.account(await platform.tenant(), roles=("administrator",)),
    }

    answers = {name: (await reader.client.get(deal.path)).status_code for name, reader in readers.items()}

    assert answers == {
        "payer": 200,
        "payee": 200,
        "administrator": 200,
        "stranger": 404,
        "foreigner": 404,
        "foreign administrator": 404,
    }
    assert (await platform.anonymous(tenant).get(deal.path)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/finance/ledger/trial-balance"),
        ("POST", "/api/v1/finance/escrows/{id}/refund"),
    ],
)
async def test_what_members_may_not_do(platform: TestPlatform, tenant: UUID, method: str, path: str):
    deal = await held_deal(platform, tenant)

    answer = await deal.payer.client.request(
        method, path.format(id=deal.id), headers={"Idempotency-Key": str(new_id())}
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await deal.payer.client.get(deal.path)).json()["state"] == "held"


async def test_an_administrator_refunds(platform: TestPlatform, tenant: UUID):
    administrator = await platform.account(tenant, roles=("administrator",))
    deal = await held_deal(platform, tenant)
    assert (await administrator.client.post(f"{deal.path}/refund")).status_code == 400

    key = {"Idempotency-Key": str(new_id())}
    answers = [await administrator.client.post(f"{deal.path}/refund", headers=key) for _ in range(2)]
    await platform.drain()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["state"] == "refunded"
    shown = (await deal.payer.client.get(deal.path)).json()
    assert shown["payment"]["state"] == "returned"


async def test_an_administrator_refunds_nothing_of_another_tenant(platform: TestPlatform, tenant: UUID):
    foreign = await platform.account(await platform.tenant(), roles=("administrator",))
    deal = await held_deal(platform, tenant)

    answer = await foreign.client.post(f"{deal.path}/refund", headers={"Idempotency-Key": str(new_id())})

    assert answer.status_code == 404
    assert (await deal.payer.client.get(deal.path)).json()["state"] == "held"
