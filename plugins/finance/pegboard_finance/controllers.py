"""The routes, under `/api/v1/finance`."""

from uuid import UUID

from pegboard_sdk import SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.errors import Conflict, InvalidCursor
from pegboard_sdk.http import Controller, Response, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_finance import permissions
from pegboard_finance.errors import (
    EscrowInWrongState,
    EscrowNotFound,
    NotThePayer,
    PaymentDeclinedByProvider,
    PaymentUnderWay,
    ProviderAnsweredWrongly,
    ProviderUnknown,
)
from pegboard_finance.schemas import Balances, Escrow, EscrowFund, StatementLine, TrialBalance
from pegboard_finance.service.escrows import EscrowService
from pegboard_finance.service.payments import fund_escrow
from pegboard_finance.service.refunds import refund_escrow
from pegboard_finance.service.wallets import get_balances, get_statement, get_trial_balance

__all__ = ("CONTROLLERS", "EscrowController", "LedgerController", "WalletController")

NOT_SETTLED = "The provider did not answer: whether the money was taken shows in the escrow within minutes."

NOT_APPROVED = "Somebody else has to approve this refund: `Location` is the request. The escrow is as it was."


class EscrowController(Controller):
    """Escrows, to those who pay them or are paid from them."""

    path = "/escrows"

    @get("/{escrow_id:uuid}", permission=permissions.ESCROW_READ, errors=(EscrowNotFound,))
    async def read_escrow(self, escrow_id: UUID, uow: UnitOfWork) -> Escrow:
        """An escrow that you pay or are paid from."""
        return await EscrowService().show(uow, escrow_id)

    @post(
        "/{escrow_id:uuid}/fund",
        permission=permissions.ESCROW_FUND,
        external=True,
        idempotency="required",
        status=200,
        also={202: NOT_SETTLED},
        errors=(
            EscrowNotFound,
            NotThePayer,
            EscrowInWrongState,
            PaymentUnderWay,
            PaymentDeclinedByProvider,
            ProviderUnknown,
            ProviderAnsweredWrongly,
        ),
    )
    async def fund_escrow(self, escrow_id: UUID, data: EscrowFund, uow: SteppedUnitOfWork) -> Response[Escrow]:
        """Pay the money that an escrow waits for. A declined payment (402) took nothing: try again with a new key.
        What the escrow pays for, such as an order, hears of it by an event, a moment after this answer.
        """
        escrow = await fund_escrow(uow, escrow_id, data)
        unsettled = escrow.payment is not None and escrow.payment.state == "unknown"
        return Response(escrow, status_code=202 if unsettled else 200)

    @post(
        "/{escrow_id:uuid}/refund",
        permission=permissions.ESCROW_REFUND,
        idempotency="required",
        status=200,
        also={202: NOT_APPROVED},
        errors=(EscrowNotFound, EscrowInWrongState, Conflict),
    )
    async def refund_escrow(self, escrow_id: UUID, uow: UnitOfWork) -> Response[Escrow]:
        """Give the payer's money back, or call off an escrow that is not funded. Over the marketplace's limit, somebody
        else who holds `finance:refund.approve` has to approve it.
        """
        request = await refund_escrow(uow, escrow_id)
        escrow = await EscrowService().show(uow, escrow_id)
        if request is None:
            return Response(escrow, status_code=200)
        return Response(escrow, status_code=202, headers={"Location": f"/api/v1/approvals/{request.id}"})


class WalletController(Controller):
    """One's own money."""

    path = "/"

    @get("/balance", permission=permissions.WALLET_READ)
    async def read_balance(self, uow: UnitOfWork) -> Balances:
        """What you have."""
        return await get_balances(uow)

    @get("/statement", permission=permissions.WALLET_READ, errors=(InvalidCursor,))
    async def list_statement(self, uow: UnitOfWork, cursor: Cursor = None, limit: Limit = 20) -> Page[StatementLine]:
        """What came into your wallets and left them, newest first."""
        return await get_statement(uow, cursor, limit)


class LedgerController(Controller):
    """The ledger as a whole."""

    path = "/ledger"

    @get("/trial-balance", permission=permissions.LEDGER_READ)
    async def read_trial_balance(self, uow: UnitOfWork) -> TrialBalance:
        """All accounts by kind, purpose and currency; the platform's fees among them."""
        return await get_trial_balance(uow)


CONTROLLERS: tuple[type[Controller], ...] = (EscrowController, WalletController, LedgerController)
