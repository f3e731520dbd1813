"""Placing, delivering, accepting and cancelling orders."""

from typing import Any
from uuid import UUID

from pegboard_sdk import Money, Record, UnitOfWork, new_id
from pegboard_sdk.pagination import decode_cursor
from pegboard_sdk.services import Escrow

from pegboard_creation_studio import permissions
from pegboard_creation_studio.errors import (
    GigNotFound,
    NotYourPart,
    OrderInWrongState,
    OrderNotFound,
    OwnGig,
    PaymentsUnavailable,
)
from pegboard_creation_studio.events import (
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderEvent,
    OrderPlaced,
    OrderRefunded,
    OrderStarted,
)
from pegboard_creation_studio.repository import gigs
from pegboard_creation_studio.repository import orders as repository
from pegboard_creation_studio.repository.orders import Role, to_order
from pegboard_creation_studio.schemas import Order, OrderCreate
from pegboard_creation_studio.service.transitions import next_state
from pegboard_creation_studio.states import ORDERS, Party

__all__ = ("REFERENCE", "OrderService")

REFERENCE = "creation_studio.order:"
"""What the references of orders' escrows begin with; the order's id follows."""


class OrderService:
    """What may be done with orders, in one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow

    async def place(self, data: OrderCreate) -> Order:
        """Order a published gig at its present terms, and open the escrow that the principal is to fund.

        Raises:
            GigNotFound: there is no published gig with this id.
            OwnGig: it is the principal's own.
            PaymentsUnavailable: no enabled plugin offers escrow.
        """
        buyer_id = self.uow.principal.account
        offer = await gigs.get_offer(self.uow, data.gig_id)
        if offer is None:
            raise GigNotFound("There is no published gig with this id.")
        if offer["owner_id"] == buyer_id:
            raise OwnGig("This gig is yours: you can't order it.")
        order_id = new_id()
        escrow = await self._escrow.open(
            self.uow,
            reference=f"{REFERENCE}{order_id}",
            payer=buyer_id,
            payee=offer["owner_id"],
            money=Money(offer["price_amount"], offer["currency"]),
        )
        row = await repository.insert_order(
            self.uow, order_id, offer=offer, buyer_id=buyer_id, escrow_id=escrow.id, note=data.note
        )
        await self._tell(row, OrderPlaced, permissions.ORDER_PLACE, before=None)
        return to_order(row)

    async def deliver(self, order_id: UUID, message: str) -> Order:
        """Deliver a paid order, as its seller; again, as long as it is not accepted.

        Raises:
            OrderNotFound, NotYourPart, OrderInWrongState: there is none that the principal may deliver.
        """
        order, state = await self._lock(order_id, "deliver")
        await repository.insert_delivery(self.uow, order_id, message)
        return await self._move(order, state, OrderDelivered, permissions.ORDER_DELIVER)

    async def accept(self, order_id: UUID) -> Order:
        """Accept what was delivered, as the buyer: the escrow pays the seller in the same transaction.

        Raises:
            OrderNotFound, NotYourPart, OrderInWrongState: there is none that the principal may accept.
            PaymentsUnavailable: no enabled plugin offers escrow.
            Conflict: the escrow is not held.
        """
        order, state = await self._lock(order_id, "accept")
        await self._escrow.release(self.uow, order["escrow_id"])
        return await self._move(order, state, OrderCompleted, permissions.ORDER_ACCEPT)

    async def cancel(self, order_id: UUID) -> Order:
        """Call an order off before it is paid, as its buyer or seller; a payment that is under way goes back.

        Raises:
            OrderNotFound, OrderInWrongState: there is none that the principal may cancel.
            PaymentsUnavailable: no enabled plugin offers escrow.
        """
        order, state = await self._lock(order_id, "cancel")
        await self._escrow.refund(self.uow, order["escrow_id"])
        return await self._move(order, state, OrderCancelled, permissions.ORDER_CANCEL)

    async def get(self, order_id: UUID) -> str:
        """An order's JSON (`OrderDetail`), for who buys or sells it.

        Raises:
            OrderNotFound: there is none that the principal may see.
        """
        found = await repository.get_order(self.uow, order_id, account_id=self.uow.principal.account)
        if found is None:
            raise _not_found()
        return found

    async def list_own(self, *, role: Role | None, limit: int, cursor: str | None) -> bytes:
        """The JSON of a page of the orders (`Order`) that the principal buys, sells, or both; the last placed first.

        Raises:
            InvalidCursor: the cursor is not of this list.
        """
        after: Any = decode_cursor(cursor, (UUID,))
        return await repository.list_orders(self.uow, self.uow.principal.account, role=role, limit=limit, after=after)

    async def escrow_funded(self, escrow_id: UUID, reference: str) -> None:
        """Start the order whose escrow was funded. What came twice, too late or is of others changes nothing."""
        await self._follow(escrow_id, reference, "fund", OrderStarted, "creation_studio:order.start")

    async def escrow_refunded(self, escrow_id: UUID, reference: str) -> None:
        """End the order whose money went back. What came twice, too late or is of others changes nothing."""
        await self._follow(escrow_id, reference, "refund", OrderRefunded, "creation_studio:order.refund")

    async def escrow_cancelled(self, escrow_id: UUID, reference: str) -> None:
        """Cancel the order whose escrow was called off. What came twice, too late or is of others changes nothing."""
        await self._follow(escrow_id, reference, "cancel", OrderCancelled, permissions.ORDER_CANCEL)

    async def _follow(
        self, escrow_id: UUID, reference: str, action: str, event: type[OrderEvent], audited: str
    ) -> None:
        """Do what an escrow's event means for its order, if the order's state still allows it."""
        order_id = _order_of(reference)
        order = None if order_id is None else await repository.lock_order(self.uow, order_id)
        if order is None or order["escrow_id"] != escrow_id:
            return
        transition = ORDERS[order["state"]].get(action)
        if transition is not None:
            await self._move(order, transition.state, event, audited)

    async def _move(self, order: Record, state: str, event: type[OrderEvent], audited: str) -> Order:
        row = await repository.set_state(self.uow, order["id"], state)
        await self._tell(row, event, audited, before={"state": order["state"]})
        return to_order(row)

    async def _tell(
        self, order: Record, event: type[OrderEvent], audited: str, *, before: dict[str, Any] | None
    ) -> None:
        """Emit what happened to an order, and audit it."""
        await self.uow.emit(
            event(
                order_id=order["id"],
                gig_id=order["gig_id"],
                buyer_id=order["buyer_id"],
                seller_id=order["seller_id"],
            )
        )
        await self.uow.audit(
            audited,
            object_type="order",
            object_id=order["id"],
            before=before,
            after={"state": order["state"]},
        )

    async def _lock(self, order_id: UUID, action: str) -> tuple[Record, str]:
        """The order's row, locked, and the state that `action` by the principal leads to."""
        order = await repository.lock_order(self.uow, order_id)
        account_id = self.uow.principal.account
        if order is None or account_id not in (order["buyer_id"], order["seller_id"]):
            raise _not_found()
        party: Party = "buyer" if account_id == order["buyer_id"] else "seller"
        state = next_state(
            ORDERS,
            order["state"],
            action,
            party,
            noun="order",
            forbidden=NotYourPart,
            wrong=OrderInWrongState,
            hint="If it was just paid, try again in a moment." if order["state"] == "pending_payment" else "",
        )
        return order, state

    @property
    def _escrow(self) -> Escrow:
        escrow = self.uow.optional_service(Escrow)
        if escrow is None:
            raise PaymentsUnavailable(
                "This marketplace takes no payments now: no plugin that holds money in escrow is on. Try again later.",
                retry_after=60,
            )
        return escrow


def _order_of(reference: str) -> UUID | None:
    """The id of the order that an escrow's reference names; None where it is another plugin's."""
    if not reference.startswith(REFERENCE):
        return None
    try:
        return UUID(reference.removeprefix(REFERENCE))
    except ValueError:
        return None


def _not_found() -> OrderNotFound:
    return OrderNotFound("There is no order with this id.")
