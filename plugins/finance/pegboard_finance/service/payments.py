"""Funding an escrow: reserve (committed) → charge (no transaction) → settle.

Whatever happens in between, and in whichever order answers come, an escrow is paid once. A janitor asks the provider
about what a crash or a lost answer left open.
"""

from uuid import UUID

import msgspec
import structlog
from pegboard_sdk import ExternalJob, SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.payments import Charge, PaymentUnknown

from pegboard_finance import permissions
from pegboard_finance.errors import (
    EscrowInWrongState,
    EscrowNotFound,
    NotThePayer,
    PaymentDeclinedByProvider,
    PaymentUnderWay,
    ProviderUnknown,
)
from pegboard_finance.events import EscrowFunded, PaymentDeclined
from pegboard_finance.repository import escrows, payments
from pegboard_finance.repository.payments import PaymentRow
from pegboard_finance.schemas import Escrow, EscrowFund
from pegboard_finance.service import gateway, ledger
from pegboard_finance.service.escrows import EscrowService
from pegboard_finance.service.returns import start_return
from pegboard_finance.settings import Settings

__all__ = ("SETTLE_PAYMENTS", "SettlePayments", "fund_escrow", "settle_payments")

BATCH = 100
log = structlog.get_logger("pegboard.finance")


class SettlePayments(msgspec.Struct, frozen=True):
    """Nothing: the job finds what there is to settle."""


async def fund_escrow(uow: SteppedUnitOfWork, escrow_id: UUID, how: EscrowFund) -> Escrow:
    """Take the escrow's money from its payer, who asks. Funding a funded escrow charges nothing and gives the escrow.

    Where the provider's answer is lost, the escrow comes back with a payment in the state `unknown`.

    Raises:
        EscrowNotFound: there is none with this id, or it is between other people.
        NotThePayer: the payee asks.
        EscrowInWrongState: it was released, refunded or cancelled.
        PaymentUnderWay: another payment of it is not settled yet.
        PaymentDeclinedByProvider: the provider refused.
        ProviderUnknown: no enabled plugin offers the provider.
    """
    gateway.get_provider(uow, how.provider)
    async with uow.step() as step:
        payment = await _reserve(step, escrow_id, how)
    if payment is not None:
        try:
            charge = await gateway.charge(uow, payment)
        except PaymentUnknown as error:
            log.warning("payment.unknown", payment=str(payment.id), provider=payment.provider, reason=str(error))
            async with uow.step(settles=True) as step:
                await payments.move_payment(step, payment.id, "lose")
        else:
            async with uow.step(settles=True) as step:
                await _settle(step, payment, charge)
            if charge.state == "declined":
                raise PaymentDeclinedByProvider(
                    f"The payment was declined ({charge.decline_code}). Nothing was taken: try another method."
                )
    async with uow.step(settles=True) as step:
        shown = await EscrowService().show(step, escrow_id)
    if shown.payment is not None and shown.payment.state in ("returning", "returned"):
        raise EscrowInWrongState("This escrow was called off while you paid: your money is on its way back.")
    return shown


async def _reserve(uow: UnitOfWork, escrow_id: UUID, how: EscrowFund) -> PaymentRow | None:
    """A payment to charge; None if the escrow has been funded. The lock makes one of two who ask at once wait."""
    escrow = await escrows.lock_escrow(uow, escrow_id)
    account = uow.principal.account
    if escrow is None or account not in (escrow.payer_id, escrow.payee_id):
        raise EscrowNotFound("There is no such escrow.")
    if account != escrow.payer_id:
        raise NotThePayer("Only who owes this escrow's money can pay it.")
    if escrow.state == "held":
        return None
    if escrow.state != "awaiting_funds":
        raise EscrowInWrongState(f"This escrow is {escrow.state}: there is nothing to pay.")
    payment = await payments.insert_payment(
        uow, escrow_id=escrow.id, provider=how.provider, method=how.method, money=escrow.money
    )
    if payment is None:
        raise PaymentUnderWay("A payment of this escrow is being settled. Look at the escrow again in a minute.")
    return payment


async def _settle(uow: UnitOfWork, payment: PaymentRow, charge: Charge) -> None:
    """Book what the provider says. Whoever settles second finds nothing to do."""
    escrow = await escrows.lock_escrow(uow, payment.escrow_id)
    if escrow is None:
        raise RuntimeError(f"payment {payment.id} has no escrow")
    if charge.state == "refunded":
        await payments.move_payment(uow, payment.id, "void", provider_charge_id=charge.provider_id)
        return
    if charge.state == "declined":
        if await payments.move_payment(
            uow, payment.id, "decline", provider_charge_id=charge.provider_id, decline_code=charge.decline_code
        ):
            await uow.emit(PaymentDeclined(escrow_id=escrow.id, reference=escrow.reference, payment_id=payment.id))
        return
    if not await payments.move_payment(uow, payment.id, "succeed", provider_charge_id=charge.provider_id):
        return
    if await escrows.move_escrow(uow, escrow.id, "fund") is None:
        # The escrow was called off, or another payment funded it, while the provider took this one.
        await ledger.hold_for_return(uow, payment_id=payment.id, money=payment.money)
        await start_return(uow, payment.id)
        return
    await ledger.hold(uow, payment_id=payment.id, escrow_id=escrow.id, money=payment.money)
    await uow.audit(
        permissions.ESCROW_FUND,
        object_type="finance.escrow",
        object_id=escrow.id,
        before={"state": escrow.state},
        after={"state": "held", "payment_id": payment.id, "amount": payment.amount, "currency": payment.currency},
    )
    await uow.emit(EscrowFunded(escrow_id=escrow.id, reference=escrow.reference))


async def settle_payments(uow: SteppedUnitOfWork, payload: SettlePayments) -> None:
    """The janitor: ask providers about payments whose outcome is unknown, and about those that a crash left pending.

    A provider that fails for one payment doesn't keep the others waiting.

    Raises:
        ExceptionGroup: what failed, once all were tried.
    """
    settings = uow.settings(Settings)
    async with uow.step() as step:
        unsettled = await payments.claim_unsettled(
            step, settle_after=settings.settle_after, lapse_after=settings.lapse_after, limit=BATCH
        )
    failures: list[Exception] = []
    for payment, old in unsettled:
        try:
            charge = await gateway.find(uow, payment)
        except (PaymentUnknown, ProviderUnknown) as error:
            log.warning("payment.unsettled", payment=str(payment.id), provider=payment.provider, reason=str(error))
            continue
        except Exception as error:  # noqa: BLE001  # raised below
            failures.append(error)
            continue
        async with uow.step() as step:
            if charge is not None:
                await _settle(step, payment, charge)
            elif old:
                await payments.move_payment(step, payment.id, "lapse")
    if failures:
        raise ExceptionGroup("payments that could not be settled", failures)


SETTLE_PAYMENTS = ExternalJob(
    name="finance.settle_payments", payload=SettlePayments, run=settle_payments, max_attempts=3, timeout=600.0
)
