"""Posting through the ledger's functions: once, or not at all, whoever else posts."""

import asyncio
from uuid import UUID

import pytest
from pegboard_finance.errors import InsufficientFunds, LedgerReferenceTaken
from pegboard_finance.service import ledger
from pegboard_sdk import Money, new_id

from tests.plugins.finance.factories import amount_in, ledger_totals, open_escrow
from tests.support.platform import TestPlatform

TEN = Money(1_000, "EUR")


async def hold(platform: TestPlatform, tenant: UUID, escrow: UUID, payment: UUID, money: Money = TEN) -> bool:
    async with platform.work(platform.system(tenant)) as work:
        return await ledger.hold(work, payment_id=payment, escrow_id=escrow, money=money)


@pytest.fixture
async def escrow(platform: TestPlatform, tenant: UUID) -> UUID:
    return (await open_escrow(platform, tenant, new_id(), new_id(), TEN)).id


async def test_an_entry_is_posted_once(platform: TestPlatform, tenant: UUID, escrow: UUID):
    payment = new_id()

    assert await hold(platform, tenant, escrow, payment) is True
    assert await hold(platform, tenant, escrow, payment) is False
    assert await ledger_totals(platform, tenant) == {"provider_clearing": -1_000, "escrow": 1_000}


async def test_an_entry_is_posted_once_by_many_at_once(platform: TestPlatform, tenant: UUID, escrow: UUID):
    payment = new_id()

    posted = await asyncio.gather(*(hold(platform, tenant, escrow, payment) for _ in range(6)))

    assert sorted(posted) == [False] * 5 + [True]
    assert await amount_in(platform, tenant, "escrow", escrow) == 1_000


async def test_another_entry_of_the_same_name_is_refused(platform: TestPlatform, tenant: UUID, escrow: UUID):
    payment = new_id()
    await hold(platform, tenant, escrow, payment)

    with pytest.raises(LedgerReferenceTaken):
        await hold(platform, tenant, escrow, payment, Money(999, "EUR"))
    with pytest.raises(LedgerReferenceTaken):
        async with platform.work(platform.system(tenant)) as work:
            await ledger.hold_for_return(work, payment_id=payment, money=TEN)

    assert await ledger_totals(platform, tenant) == {"provider_clearing": -1_000, "escrow": 1_000}


async def test_a_transaction_that_fails_leaves_nothing(platform: TestPlatform, tenant: UUID, escrow: UUID):
    payment = new_id()

    async def hold_and_fail() -> None:
        async with platform.work(platform.system(tenant)) as work:
            await ledger.hold(work, payment_id=payment, escrow_id=escrow, money=TEN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await hold_and_fail()

    assert await ledger_totals(platform, tenant) == {}
    assert await hold(platform, tenant, escrow, payment) is True


async def test_an_escrow_pays_out_no_more_than_it_holds(platform: TestPlatform, tenant: UUID, escrow: UUID):
    """Release and refund are different entries; what keeps both from happening is that the money is there once."""
    await hold(platform, tenant, escrow, new_id())
    async with platform.work(platform.system(tenant)) as work:
        await ledger.refund(work, escrow_id=escrow, money=TEN)

    with pytest.raises(InsufficientFunds):
        async with platform.work(platform.system(tenant)) as work:
            await ledger.release(work, escrow_id=escrow, payee=new_id(), money=Money(1, "EUR"), fee=1)

    assert await ledger_totals(platform, tenant) == {"provider_clearing": -1_000, "refunds": 1_000}


async def test_entries_that_share_accounts_in_opposite_order_do_not_deadlock(platform: TestPlatform, tenant: UUID):
    """The accounts are locked in the order of their ids, whatever the order of the lines."""
    first, second = new_id(), new_id()
    for payee in (first, second):
        await open_escrow(platform, tenant, new_id(), payee, TEN)

    async def move(number: int) -> None:
        source, target = (first, second) if number % 2 else (second, first)
        async with platform.work(platform.system(tenant)) as work:
            posted = await work.fetchval(
                "SELECT finance_post($1, 'test', $2, 'EUR', $3, $4, $5)",
                new_id(),
                str(number),
                ["provider_clearing", "wallet", "wallet"],
                [tenant, source, target],
                [-2, 1, 1],
            )
        assert posted == "posted"

    await asyncio.gather(*(move(number) for number in range(60)))

    assert await amount_in(platform, tenant, "wallet", first) == 60
    assert await amount_in(platform, tenant, "wallet", second) == 60


async def test_entries_on_the_platforms_accounts_do_not_wait_for_each_other(platform: TestPlatform, tenant: UUID):
    """Every payment goes through the clearing account. One that is not committed yet must not hold the others up."""
    escrows = [await open_escrow(platform, tenant, new_id(), new_id(), TEN) for _ in range(2)]

    async with platform.work(platform.system(tenant)) as work, asyncio.timeout(5):
        await ledger.hold(work, payment_id=new_id(), escrow_id=escrows[0].id, money=TEN)
        assert await hold(platform, tenant, escrows[1].id, new_id()) is True

    assert await ledger_totals(platform, tenant) == {"provider_clearing": -2_000, "escrow": 2_000}
