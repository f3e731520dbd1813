"""The queries of payments."""

from datetime import datetime
from uuid import UUID

import msgspec
from pegboard_sdk import Money, Record, UnitOfWork, new_id

from pegboard_finance.states import PAYMENTS, PaymentAction, PaymentState, outcome, sources

__all__ = ("PaymentRow", "claim_unsettled", "find_payment", "insert_payment", "move_payment", "return_payment_of")

COLUMNS = "id, escrow_id, provider, method, amount, currency, state, provider_charge_id, created_at"

# A payment that is under way keeps another from starting: the partial unique index says so.
INSERT = f"""
INSERT INTO finance_payments (id, tenant_id, escrow_id, provider, method, amount, currency)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id, escrow_id) WHERE state IN ('pending', 'unknown') DO NOTHING
RETURNING {COLUMNS}
"""  # noqa: S608  # constants

FIND = f"SELECT {COLUMNS} FROM finance_payments WHERE id = $1"  # noqa: S608  # constants

MOVE = f"""
UPDATE finance_payments
SET state = $2, provider_charge_id = coalesce($4, provider_charge_id), decline_code = coalesce($5, decline_code)
WHERE id = $1 AND state = ANY ($3)
RETURNING {COLUMNS}
"""  # noqa: S608  # constants

RETURN_OF_ESCROW = f"""
UPDATE finance_payments SET state = $2 WHERE escrow_id = $1 AND state = ANY ($3) RETURNING {COLUMNS}
"""  # noqa: S608  # constants

# Those that are looked at go to the end of the queue: a few that can't be settled don't keep the others waiting.
CLAIM_UNSETTLED = f"""
UPDATE finance_payments SET checked_at = now()
WHERE id IN (
    SELECT id FROM finance_payments
    WHERE state = 'unknown' OR (state = 'pending' AND checked_at < now() - make_interval(secs => $1))
    ORDER BY checked_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING {COLUMNS}, created_at < now() - make_interval(secs => $3) AS old
"""  # noqa: S608  # constants


class PaymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it is kept. Its id is the reference that the provider knows it by."""

    id: UUID
    escrow_id: UUID
    provider: str
    method: str
    amount: int
    currency: str
    state: PaymentState
    provider_charge_id: str | None
    created_at: datetime

    @property
    def money(self) -> Money:
        """What is to be taken."""
        return Money(self.amount, self.currency)

    @property
    def reference(self) -> str:
        """What the provider knows the payment by."""
        return str(self.id)


def _row(record: Record) -> PaymentRow:
    return PaymentRow(**{name: record[name] for name in PaymentRow.__struct_fields__})


async def insert_payment(
    uow: UnitOfWork, *, escrow_id: UUID, provider: str, method: str, money: Money
) -> PaymentRow | None:
    """A new payment, pending; None where another of the escrow is under way."""
    record = await uow.fetchrow(
        INSERT, new_id(), uow.tenant_id, escrow_id, provider, method, money.amount, money.currency
    )
    return None if record is None else _row(record)


async def find_payment(uow: UnitOfWork, payment_id: UUID) -> PaymentRow | None:
    """The payment."""
    record = await uow.fetchrow(FIND, payment_id)
    return None if record is None else _row(record)


async def move_payment(
    uow: UnitOfWork,
    payment_id: UUID,
    action: PaymentAction,
    *,
    provider_charge_id: str | None = None,
    decline_code: str | None = None,
) -> PaymentRow | None:
    """Do `action`; None where the payment's state does not allow it: somebody else has settled it."""
    record = await uow.fetchrow(
        MOVE, payment_id, outcome(PAYMENTS, action), sources(PAYMENTS, action), provider_charge_id, decline_code
    )
    return None if record is None else _row(record)


async def return_payment_of(uow: UnitOfWork, escrow_id: UUID) -> PaymentRow | None:
    """Mark the payment that funded the escrow as one to give back."""
    record = await uow.fetchrow(RETURN_OF_ESCROW, escrow_id, outcome(PAYMENTS, "return"), sources(PAYMENTS, "return"))
    return None if record is None else _row(record)


async def claim_unsettled(
    uow: UnitOfWork, *, settle_after: float, lapse_after: float, limit: int
) -> list[tuple[PaymentRow, bool]]:
    """Payments to ask about: of unknown outcome, or pending for `settle_after` seconds; and whether each is
    `lapse_after` seconds old.
    """
    return [
        (_row(record), record["old"]) for record in await uow.fetch(CLAIM_UNSETTLED, settle_after, limit, lapse_after)
    ]
