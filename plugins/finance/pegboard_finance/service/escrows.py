"""Escrow: money that is held until somebody releases or refunds it."""

import re
from uuid import UUID

import msgspec
from pegboard_sdk import Money, UnitOfWork
from pegboard_sdk.errors import FieldError
from pegboard_sdk.services import EscrowView, Records

from pegboard_finance import permissions
from pegboard_finance.errors import EscrowInWrongState, EscrowNotFound, EscrowReferenceTaken, EscrowTermsInvalid
from pegboard_finance.events import EscrowCancelled, EscrowRefunded, EscrowReleased
from pegboard_finance.repository import escrows as repository
from pegboard_finance.repository.escrows import EscrowRow
from pegboard_finance.rules import may_see
from pegboard_finance.schemas import Escrow, Subject
from pegboard_finance.service import ledger
from pegboard_finance.service.fees import platform_fee
from pegboard_finance.service.returns import start_return_of
from pegboard_finance.settings import Settings

__all__ = ("EscrowService",)

MAX_AMOUNT = 10**12
CURRENCY = re.compile("[A-Z]{3}")


class EscrowService:
    """`pegboard_sdk.services.Escrow`. An escrow changes its state in the transaction that moves its money."""

    async def open(self, uow: UnitOfWork, *, reference: str, payer: UUID, payee: UUID, money: Money) -> EscrowView:
        """Open an escrow that waits for the payer's money. `reference` is `<plugin>.<noun>:<id>`, unique in the tenant.

        The platform's fee is fixed now. Opening it again on the same terms gives the escrow that is there.

        Raises:
            EscrowTermsInvalid: payer and payee are the same, or the money is not between 1 and 10**12 of a currency.
            EscrowReferenceTaken: the reference is that of an escrow with other terms.
        """
        if payer == payee:
            raise EscrowTermsInvalid("Nobody can pay themselves: name another payee.")
        if not CURRENCY.fullmatch(money.currency):
            raise EscrowTermsInvalid(
                "The currency must be an ISO 4217 code.", errors=[FieldError("/money/currency", "Not a code.")]
            )
        if not 1 <= money.amount <= MAX_AMOUNT:
            raise EscrowTermsInvalid(
                f"The amount must be between 1 and {MAX_AMOUNT}.",
                errors=[FieldError("/money/amount", f"{money.amount} is not.")],
            )
        fee = platform_fee(money.amount, uow.settings(Settings).platform_fee_bps)
        row = await repository.insert_escrow(uow, reference=reference, payer=payer, payee=payee, money=money, fee=fee)
        if row is None:
            row = await repository.find_by_reference(uow, reference)
            if row is None or (row.payer_id, row.payee_id, row.money) != (payer, payee, money):
                raise EscrowReferenceTaken(f"There is another escrow with the reference {reference}.")
            return _view(row)
        await ledger.open_for_escrow(uow, escrow_id=row.id, payee=payee, currency=money.currency)
        return _view(row)

    async def get(self, uow: UnitOfWork, escrow_id: UUID) -> EscrowView:
        """The escrow, without a check of who asks.

        Raises:
            EscrowNotFound: there is none with this id.
        """
        return _view(_found(await repository.find_escrow(uow, escrow_id)))

    async def show(self, uow: UnitOfWork, escrow_id: UUID) -> Escrow:
        """The escrow as its payer and payee see it, and who refunds or approves refunds.

        Raises:
            EscrowNotFound: there is none with this id, or it is between other people.
        """
        escrow = await repository.get_shown(uow, escrow_id)
        if escrow is None or not may_see(uow.principal, payer_id=escrow.payer_id, payee_id=escrow.payee_id):
            raise EscrowNotFound("There is no such escrow.")
        described = (await uow.service(Records).describe(uow, [escrow.reference]))[escrow.reference]
        return msgspec.structs.replace(escrow, subject=Subject(label=described.label, state=described.state))

    async def release(self, uow: UnitOfWork, escrow_id: UUID) -> EscrowView:
        """Pay the payee, less the platform's fee. Releasing a released escrow changes nothing.

        Raises:
            EscrowNotFound: there is none with this id.
            EscrowInWrongState: it is not held.
        """
        row = await repository.move_escrow(uow, escrow_id, "release")
        if row is None:
            row = _found(await repository.find_escrow(uow, escrow_id))
            if row.state == "released":
                return _view(row)
            raise EscrowInWrongState("Only an escrow that holds the payer's money can be released.")
        await ledger.release(uow, escrow_id=row.id, payee=row.payee_id, money=row.money, fee=row.fee)
        await uow.audit(
            permissions.ESCROW_RELEASE,
            object_type="finance.escrow",
            object_id=row.id,
            before={"state": "held"},
            after={"state": row.state, "amount": row.amount, "fee": row.fee, "currency": row.currency},
        )
        await uow.emit(EscrowReleased(escrow_id=row.id, reference=row.reference))
        return _view(row)

    async def refund(self, uow: UnitOfWork, escrow_id: UUID) -> EscrowView:
        """Give the payer the money back, or cancel an escrow that was never funded. Doing it twice changes nothing.

        The ledger has the money on its way back when this returns; a job, enqueued with it, makes the provider pay.

        Raises:
            EscrowNotFound: there is none with this id.
            EscrowInWrongState: it was released.
        """
        row = _found(await repository.lock_escrow(uow, escrow_id))
        if row.state == "held":
            return await self._refund(uow, row)
        if row.state == "awaiting_funds":
            return await self._cancel(uow, row)
        if row.state == "released":
            raise EscrowInWrongState("The payee has been paid: this escrow can't be refunded any more.")
        return _view(row)

    async def _refund(self, uow: UnitOfWork, row: EscrowRow) -> EscrowView:
        await ledger.refund(uow, escrow_id=row.id, money=row.money)
        moved = _found(await repository.move_escrow(uow, row.id, "refund"))
        await start_return_of(uow, row.id)
        await uow.audit(
            permissions.ESCROW_REFUND,
            object_type="finance.escrow",
            object_id=row.id,
            before={"state": row.state},
            after={"state": moved.state, "amount": row.amount, "currency": row.currency},
        )
        await uow.emit(EscrowRefunded(escrow_id=row.id, reference=row.reference))
        return _view(moved)

    async def _cancel(self, uow: UnitOfWork, row: EscrowRow) -> EscrowView:
        moved = _found(await repository.move_escrow(uow, row.id, "cancel"))
        await uow.audit(
            permissions.ESCROW_CANCEL,
            object_type="finance.escrow",
            object_id=row.id,
            before={"state": row.state},
            after={"state": moved.state},
        )
        await uow.emit(EscrowCancelled(escrow_id=row.id, reference=row.reference))
        return _view(moved)


def _found(row: EscrowRow | None) -> EscrowRow:
    if row is None:
        raise EscrowNotFound("There is no such escrow.")
    return row


def _view(row: EscrowRow) -> EscrowView:
    return EscrowView(id=row.id, reference=row.reference, state=row.state, money=row.money)
