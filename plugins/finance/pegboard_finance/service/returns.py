"""Giving payments back: decided in the transaction that frees the money, done by a job that calls the provider."""

from uuid import UUID

import msgspec
from pegboard_sdk import ExternalJob, SteppedUnitOfWork, UnitOfWork

from pegboard_finance import permissions
from pegboard_finance.repository import payments as repository
from pegboard_finance.repository.payments import PaymentRow
from pegboard_finance.service import gateway, ledger

__all__ = ("RETURN_PAYMENT", "ReturnPayment", "return_payment", "start_return", "start_return_of")


class ReturnPayment(msgspec.Struct, frozen=True):
    """The payment to give back."""

    payment_id: UUID


async def start_return_of(uow: UnitOfWork, escrow_id: UUID) -> None:
    """Give back the payment that funded the escrow, whose money is among the refunds now."""
    payment = await repository.return_payment_of(uow, escrow_id)
    if payment is None:
        raise RuntimeError(f"escrow {escrow_id} was funded and has no payment to give back")
    await _enqueue(uow, payment)


async def start_return(uow: UnitOfWork, payment_id: UUID) -> None:
    """Give back a payment that succeeded, whose money is among the refunds now."""
    payment = await repository.move_payment(uow, payment_id, "return")
    if payment is not None:
        await _enqueue(uow, payment)


async def _enqueue(uow: UnitOfWork, payment: PaymentRow) -> None:
    await uow.enqueue(RETURN_PAYMENT, ReturnPayment(payment.id), dedupe_key=str(payment.id))


async def return_payment(uow: SteppedUnitOfWork, payload: ReturnPayment) -> None:
    """The job. The provider gives back once however often it is asked, and the ledger books it once: it can end
    anywhere and start again.

    Raises:
        PaymentUnknown, ProviderAnsweredWrongly, ProviderUnknown: the job is tried again, later.
    """
    async with uow.step() as step:
        payment = await repository.find_payment(step, payload.payment_id)
    if payment is None or payment.state != "returning":
        return
    await gateway.give_back(uow, payment)
    async with uow.step() as step:
        if await repository.move_payment(step, payment.id, "confirm_return") is None:
            return
        await ledger.give_back(step, payment_id=payment.id, money=payment.money)
        await step.audit(
            permissions.PAYMENT_RETURN,
            object_type="finance.payment",
            object_id=payment.id,
            before={"state": payment.state},
            after={"state": "returned", "amount": payment.amount, "currency": payment.currency},
        )


RETURN_PAYMENT = ExternalJob(
    name="finance.return_payment", payload=ReturnPayment, run=return_payment, max_attempts=20, timeout=120.0
)
