"""Refunds that somebody asks for: at once up to the limit, with a second person's approval above it."""

from uuid import UUID

import msgspec
from pegboard_sdk import UnitOfWork
from pegboard_sdk.authorization import ApprovalKind
from pegboard_sdk.services import Approvals, ApprovalView

from pegboard_finance import permissions
from pegboard_finance.errors import EscrowInWrongState
from pegboard_finance.service.escrows import EscrowService
from pegboard_finance.settings import Settings

__all__ = ("REFUND_OVER_LIMIT", "RefundOverLimit", "refund_escrow")


class RefundOverLimit(msgspec.Struct, frozen=True):
    """The escrow to refund, and the amount that was approved, in minor units."""

    escrow_id: UUID
    amount: int


async def refund_escrow(uow: UnitOfWork, escrow_id: UUID, *, reason: str = "") -> ApprovalView | None:
    """Refund an escrow, or cancel one that was never funded; None then. Where the money that it holds is over the
    limit, this asks for approval and gives the request.

    Raises:
        EscrowNotFound: there is none with this id.
        EscrowInWrongState: it was released.
        Conflict: somebody else has asked for this refund already.
    """
    service, limit = EscrowService(), uow.settings(Settings).refund_limit
    escrow = await service.get(uow, escrow_id)
    if escrow.state != "held" or limit is None or escrow.money.amount <= limit:
        await service.refund(uow, escrow_id)
        return None
    amount, currency = escrow.money.amount, escrow.money.currency
    return await uow.service(Approvals).request(
        uow,
        REFUND_OVER_LIMIT.name,
        RefundOverLimit(escrow_id, amount),
        object_type="finance.escrow",
        object_id=escrow_id,
        summary=f"Refund {amount} minor units of {currency} to the payer of the escrow {escrow_id}.",
        reason=reason,
    )


async def _refund(uow: UnitOfWork, payload: RefundOverLimit) -> None:
    """Somebody else has approved. The escrow may have gone another way since it was asked for."""
    service = EscrowService()
    escrow = await service.get(uow, payload.escrow_id)
    if escrow.state != "held" or escrow.money.amount != payload.amount:
        raise EscrowInWrongState(f"This escrow is {escrow.state}: there is nothing left to refund. Reject the request.")
    # On record as the approval of this escrow's refund, which is where who has paid it is kept from approving.
    await uow.audit(
        permissions.REFUND_APPROVE,
        object_type="finance.escrow",
        object_id=payload.escrow_id,
        after={"amount": payload.amount, "currency": escrow.money.currency},
    )
    await service.refund(uow, payload.escrow_id)


REFUND_OVER_LIMIT = ApprovalKind(
    name="finance.refund_over_limit",
    summary="refunds over the limit",
    permission=permissions.REFUND_APPROVE,
    payload=RefundOverLimit,
    execute=_refund,
)
