"""The ledger: double entry, in integer minor units. Credits are positive and debits negative, so that what is owed to
people, and what is earned, has a positive balance.

Money is in one of five places. `wallet`: a person's. `escrow`: held for one escrow. `refunds`: on its way back to
payers. `platform_fees`: earned. `provider_clearing`: taken by payment providers, who owe it to us.

Each entry names what it is for, so that doing it twice changes nothing: the second time gives False.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from pegboard_sdk import Money, UnitOfWork

from pegboard_finance.errors import InsufficientFunds, LedgerReferenceTaken
from pegboard_finance.repository import ledger as repository
from pegboard_finance.repository.ledger import Line

__all__ = ("give_back", "hold", "hold_for_return", "open_for_escrow", "refund", "release")

NOT_NEGATIVE = "finance_balances_not_negative"


async def open_for_escrow(uow: UnitOfWork, *, escrow_id: UUID, payee: UUID, currency: str) -> None:
    """Open every account that an escrow's money may pass through."""
    tenant = uow.tenant_id
    await repository.open_accounts(
        uow,
        [
            ("escrow", escrow_id),
            ("wallet", payee),
            ("platform_fees", tenant),
            ("provider_clearing", tenant),
            ("refunds", tenant),
        ],
        currency,
    )


async def hold(uow: UnitOfWork, *, payment_id: UUID, escrow_id: UUID, money: Money) -> bool:
    """The provider took a payment, and the escrow holds it.

    Raises:
        LedgerReferenceTaken: the payment is booked otherwise.
    """
    return await _post(
        uow,
        "payment",
        payment_id,
        money.currency,
        [Line("provider_clearing", uow.tenant_id, -money.amount), Line("escrow", escrow_id, money.amount)],
    )


async def hold_for_return(uow: UnitOfWork, *, payment_id: UUID, money: Money) -> bool:
    """The provider took a payment that nobody waits for: it is to be given back.

    Raises:
        LedgerReferenceTaken: the payment is booked otherwise.
    """
    tenant = uow.tenant_id
    return await _post(
        uow,
        "payment",
        payment_id,
        money.currency,
        [Line("provider_clearing", tenant, -money.amount), Line("refunds", tenant, money.amount)],
    )


async def release(uow: UnitOfWork, *, escrow_id: UUID, payee: UUID, money: Money, fee: int) -> bool:
    """The escrow's money becomes the payee's, and the platform's as far as `fee` goes.

    Raises:
        InsufficientFunds: the escrow doesn't hold the amount.
    """
    shares = [Line("wallet", payee, money.amount - fee), Line("platform_fees", uow.tenant_id, fee)]
    lines = [Line("escrow", escrow_id, -money.amount), *(line for line in shares if line.amount)]
    return await _post(uow, "escrow_release", escrow_id, money.currency, lines)


async def refund(uow: UnitOfWork, *, escrow_id: UUID, money: Money) -> bool:
    """The escrow's money is to be given back.

    Raises:
        InsufficientFunds: the escrow doesn't hold the amount.
    """
    return await _post(
        uow,
        "escrow_refund",
        escrow_id,
        money.currency,
        [Line("escrow", escrow_id, -money.amount), Line("refunds", uow.tenant_id, money.amount)],
    )


async def give_back(uow: UnitOfWork, *, payment_id: UUID, money: Money) -> bool:
    """The provider gave a payment back."""
    tenant = uow.tenant_id
    return await _post(
        uow,
        "payment_return",
        payment_id,
        money.currency,
        [Line("refunds", tenant, -money.amount), Line("provider_clearing", tenant, money.amount)],
    )


async def _post(uow: UnitOfWork, kind: str, reference: UUID, currency: str, lines: Sequence[Line]) -> bool:
    """One call to the database; the balance of the lines is the database's to check."""
    try:
        outcome = await repository.post(uow, kind, str(reference), currency, lines)
    except asyncpg.CheckViolationError as error:
        if getattr(error, "constraint_name", None) == NOT_NEGATIVE:
            raise InsufficientFunds("There is less money in the account than this would take from it.") from error
        raise
    if outcome == "different":
        raise LedgerReferenceTaken(f"The ledger has another entry of the kind {kind} for {reference}.")
    return outcome == "posted"
