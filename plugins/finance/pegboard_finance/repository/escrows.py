"""The queries of escrows."""

from datetime import datetime
from uuid import UUID

import msgspec
from pegboard_sdk import Money, Record, UnitOfWork, new_id

from pegboard_finance.schemas import Escrow, Payment, Subject
from pegboard_finance.states import ESCROWS, EscrowAction, EscrowState, outcome, sources

__all__ = ("EscrowRow", "find_by_reference", "find_escrow", "get_shown", "insert_escrow", "lock_escrow", "move_escrow")

COLUMNS = "id, reference, payer_id, payee_id, amount, fee, currency, state, created_at, updated_at"

INSERT = f"""
INSERT INTO finance_escrows (id, tenant_id, reference, payer_id, payee_id, amount, fee, currency)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id, reference) DO NOTHING
RETURNING {COLUMNS}
"""  # noqa: S608  # constants

FIND = f"SELECT {COLUMNS} FROM finance_escrows WHERE id = $1"  # noqa: S608  # constants

FIND_BY_REFERENCE = f"SELECT {COLUMNS} FROM finance_escrows WHERE reference = $1"  # noqa: S608  # constants

MOVE = f"UPDATE finance_escrows SET state = $2 WHERE id = $1 AND state = ANY ($3) RETURNING {COLUMNS}"  # noqa: S608  # constants

SHOWN = """
SELECT e.id, e.reference, e.state, e.payer_id, e.payee_id, e.amount, e.fee, e.currency, e.created_at, e.updated_at,
    p.id AS payment_id, p.provider, p.state AS payment_state, p.decline_code, p.created_at AS payment_created_at
FROM finance_escrows e
LEFT JOIN LATERAL (
    SELECT * FROM finance_payments p
    WHERE p.tenant_id = e.tenant_id AND p.escrow_id = e.id ORDER BY p.id DESC LIMIT 1
) p ON true
WHERE e.id = $1
"""


class EscrowRow(msgspec.Struct, frozen=True, kw_only=True):
    """An escrow as it is kept."""

    id: UUID
    reference: str
    payer_id: UUID
    payee_id: UUID
    amount: int
    fee: int
    currency: str
    state: EscrowState
    created_at: datetime
    updated_at: datetime

    @property
    def money(self) -> Money:
        """What the payer pays."""
        return Money(self.amount, self.currency)


def _row(record: Record | None) -> EscrowRow | None:
    return None if record is None else EscrowRow(**{name: record[name] for name in EscrowRow.__struct_fields__})


async def insert_escrow(
    uow: UnitOfWork, *, reference: str, payer: UUID, payee: UUID, money: Money, fee: int
) -> EscrowRow | None:
    """A new escrow; None where the reference is taken."""
    return _row(
        await uow.fetchrow(INSERT, new_id(), uow.tenant_id, reference, payer, payee, money.amount, fee, money.currency)
    )


async def find_escrow(uow: UnitOfWork, escrow_id: UUID) -> EscrowRow | None:
    """The escrow."""
    return _row(await uow.fetchrow(FIND, escrow_id))


async def lock_escrow(uow: UnitOfWork, escrow_id: UUID) -> EscrowRow | None:
    """The escrow, which nobody else changes until this transaction ends. Lock it before its payments."""
    return _row(await uow.fetchrow(f"{FIND} FOR UPDATE", escrow_id))


async def find_by_reference(uow: UnitOfWork, reference: str) -> EscrowRow | None:
    """The escrow with this reference."""
    return _row(await uow.fetchrow(FIND_BY_REFERENCE, reference))


async def move_escrow(uow: UnitOfWork, escrow_id: UUID, action: EscrowAction) -> EscrowRow | None:
    """Do `action`; None where the escrow's state does not allow it, or there is none."""
    return _row(await uow.fetchrow(MOVE, escrow_id, outcome(ESCROWS, action), sources(ESCROWS, action)))


async def get_shown(uow: UnitOfWork, escrow_id: UUID) -> Escrow | None:
    """The escrow with its latest payment, as it is shown, but for what only others know of its subject."""
    row = await uow.fetchrow(SHOWN, escrow_id)
    if row is None:
        return None
    payment = None
    if row["payment_id"] is not None:
        payment = Payment(
            id=row["payment_id"],
            provider=row["provider"],
            state=row["payment_state"],
            decline_code=row["decline_code"],
            created_at=row["payment_created_at"],
        )
    return Escrow(
        id=row["id"],
        reference=row["reference"],
        subject=Subject(label=None, state="unavailable"),
        state=row["state"],
        payer_id=row["payer_id"],
        payee_id=row["payee_id"],
        money=Money(row["amount"], row["currency"]),
        fee=Money(row["fee"], row["currency"]),
        payment=payment,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
