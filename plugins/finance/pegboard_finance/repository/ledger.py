"""The queries of the ledger."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from pegboard_sdk import Money, UnitOfWork, new_id

from pegboard_finance.schemas import LedgerTotal, Purpose, StatementLine

__all__ = ("Line", "list_balances", "list_statement", "list_totals", "open_accounts", "post")

POST = "SELECT finance_post($1, $2, $3, $4, $5, $6, $7)"

OPEN_ACCOUNTS = "SELECT finance_open_accounts($1, $2, $3, $4)"

BALANCES = """
SELECT a.currency, b.amount
FROM finance_accounts a JOIN finance_balances b ON b.account_id = a.id
WHERE a.purpose = 'wallet' AND a.owner_id = $1
ORDER BY a.currency
"""

# Each wallet (one for each currency) gives its newest lines by its index, then they are merged. The literal LIMIT keeps
# the plan cached.
STATEMENT = """
SELECT line.*, t.kind, t.reference
FROM (
    SELECT p.tenant_id, p.transaction_id, p.position, p.currency, p.amount, p.created_at
    FROM finance_accounts a
    CROSS JOIN LATERAL (
        SELECT * FROM finance_postings p
        WHERE p.tenant_id = a.tenant_id AND p.account_id = a.id
            AND (p.transaction_id, p.position) < ($2, $3)
        ORDER BY p.transaction_id DESC, p.position DESC LIMIT 101
    ) p
    WHERE a.purpose = 'wallet' AND a.owner_id = $1
    ORDER BY p.transaction_id DESC, p.position DESC LIMIT 101
) line
JOIN finance_transactions t ON t.tenant_id = line.tenant_id AND t.id = line.transaction_id
ORDER BY line.transaction_id DESC, line.position DESC LIMIT $4
"""

TOTALS = """
SELECT a.kind, a.purpose, a.currency,
    coalesce(-sum(p.amount) FILTER (WHERE p.amount < 0), 0)::bigint AS debits,
    coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0)::bigint AS credits,
    coalesce(sum(p.amount), 0)::bigint AS balance
FROM finance_accounts a LEFT JOIN finance_postings p ON p.tenant_id = a.tenant_id AND p.account_id = a.id
GROUP BY a.kind, a.purpose, a.currency
ORDER BY a.currency, a.kind, a.purpose
"""


class Line(msgspec.Struct, frozen=True):
    """One line of a journal entry. `owner` is the account whose wallet it is, the escrow, or else the tenant."""

    purpose: Purpose
    owner: UUID
    amount: int


async def post(
    uow: UnitOfWork, kind: str, reference: str, currency: str, lines: Sequence[Line]
) -> Literal["posted", "repeated", "different"]:
    """Write a journal entry: `repeated` and `different` say that there is one of this kind and reference already."""
    return await uow.fetchval(
        POST,
        new_id(),
        kind,
        reference,
        currency,
        [line.purpose for line in lines],
        [line.owner for line in lines],
        [line.amount for line in lines],
    )


async def open_accounts(uow: UnitOfWork, accounts: Sequence[tuple[Purpose, UUID]], currency: str) -> None:
    """Open those of the accounts (purpose, owner) that aren't open."""
    await uow.execute(
        OPEN_ACCOUNTS,
        [new_id() for _ in accounts],
        [purpose for purpose, _ in accounts],
        [owner for _, owner in accounts],
        currency,
    )


async def list_balances(uow: UnitOfWork, owner: UUID) -> list[Money]:
    """The owner's wallets."""
    return [Money(row["amount"], row["currency"]) for row in await uow.fetch(BALANCES, owner)]


async def list_statement(
    uow: UnitOfWork, owner: UUID, before: tuple[UUID, int], limit: int
) -> list[tuple[int, StatementLine]]:
    """Up to `limit` (101 at most) lines of the owner's wallets that come before a transaction and position, newest
    first, each with its position.
    """
    return [
        (
            row["position"],
            StatementLine(
                transaction_id=row["transaction_id"],
                kind=row["kind"],
                reference=row["reference"],
                money=Money(row["amount"], row["currency"]),
                created_at=row["created_at"],
            ),
        )
        for row in await uow.fetch(STATEMENT, owner, *before, limit)
    ]


async def list_totals(uow: UnitOfWork) -> list[LedgerTotal]:
    """The whole ledger by kind, purpose and currency."""
    return [LedgerTotal(**dict(row)) for row in await uow.fetch(TOTALS)]
