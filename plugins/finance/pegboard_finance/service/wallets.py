"""What people have, and how it came about; and the whole ledger for who answers for it."""

from uuid import UUID

from pegboard_sdk import Money, UnitOfWork
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard_finance.repository import ledger as repository
from pegboard_finance.schemas import Balances, StatementLine, TrialBalance

__all__ = ("get_balances", "get_statement", "get_trial_balance")

NEWEST = (UUID(int=2**128 - 1), 0)


async def get_balances(uow: UnitOfWork) -> Balances:
    """The wallets of who asks."""
    return Balances(await repository.list_balances(uow, uow.principal.account))


async def get_statement(uow: UnitOfWork, cursor: str | None, limit: int) -> Page[StatementLine]:
    """The postings of the wallets of who asks, newest first.

    Raises:
        InvalidCursor: the cursor is not one of this list.
    """
    before = decode_cursor(cursor, (UUID, int)) or NEWEST
    lines = await repository.list_statement(uow, uow.principal.account, before, limit + 1)
    page = [line for _, line in lines[:limit]]
    if len(lines) <= limit:
        return Page(page)
    position, last = lines[limit - 1]
    return Page(page, encode_cursor(last.transaction_id, position))


async def get_trial_balance(uow: UnitOfWork) -> TrialBalance:
    """All accounts, by kind, purpose and currency."""
    totals = await repository.list_totals(uow)
    sums = {total.currency: 0 for total in totals}
    for total in totals:
        sums[total.currency] += total.balance
    return TrialBalance(totals, [Money(amount, currency) for currency, amount in sums.items()])
