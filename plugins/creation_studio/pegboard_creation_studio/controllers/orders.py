"""Orders over HTTP."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk import UnitOfWork
from pegboard_sdk.errors import InvalidCursor
from pegboard_sdk.http import Controller, JsonBytes, QueryParameter, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_creation_studio import permissions
from pegboard_creation_studio.errors import (
    GigNotFound,
    NotYourPart,
    OrderInWrongState,
    OrderNotFound,
    OwnGig,
    PaymentsUnavailable,
)
from pegboard_creation_studio.repository.orders import Role
from pegboard_creation_studio.schemas import DeliveryCreate, Order, OrderCreate, OrderDetail
from pegboard_creation_studio.service.orders import OrderService

__all__ = ("OrderController",)

REFUSED = (OrderNotFound, NotYourPart, OrderInWrongState)

AsRole = Annotated[
    Role | None,
    QueryParameter(name="role", description="Only what one buys, or only what one sells; both if left out."),
]


class OrderController(Controller):
    """Gigs that clients ordered."""

    path = "/orders"

    @get(permission=permissions.ORDER_READ, errors=(InvalidCursor,))
    async def list_orders(
        self, uow: UnitOfWork, role: AsRole = None, limit: Limit = 20, cursor: Cursor = None
    ) -> JsonBytes[Page[Order]]:
        """List the orders that one buys or sells, the last placed first."""
        return JsonBytes(await OrderService(uow).list_own(role=role, limit=limit, cursor=cursor))

    @get("/{order_id:uuid}", permission=permissions.ORDER_READ, errors=(OrderNotFound,))
    async def read_order(self, order_id: UUID, uow: UnitOfWork) -> JsonBytes[OrderDetail]:
        """Show an order that one buys or sells, with its deliveries."""
        return JsonBytes(await OrderService(uow).get(order_id))

    @post(
        permission=permissions.ORDER_PLACE,
        idempotency="required",
        errors=(GigNotFound, OwnGig, PaymentsUnavailable),
    )
    async def place_order(self, data: OrderCreate, uow: UnitOfWork) -> Order:
        """Order a published gig. Fund its escrow next; the work begins then."""
        return await OrderService(uow).place(data)

    @post("/{order_id:uuid}/deliver", permission=permissions.ORDER_DELIVER, status=200, errors=REFUSED)
    async def deliver_order(self, order_id: UUID, data: DeliveryCreate, uow: UnitOfWork) -> Order:
        """Deliver an order, as its seller. An order hears of its payment by an event, a moment after its escrow was
        funded: until then it is refused as pending payment.
        """
        return await OrderService(uow).deliver(order_id, data.message)

    @post(
        "/{order_id:uuid}/accept",
        permission=permissions.ORDER_ACCEPT,
        idempotency="required",
        status=200,
        errors=(*REFUSED, PaymentsUnavailable),
    )
    async def accept_order(self, order_id: UUID, uow: UnitOfWork) -> Order:
        """Accept what was delivered, as the buyer: the seller is paid."""
        return await OrderService(uow).accept(order_id)

    @post(
        "/{order_id:uuid}/cancel",
        permission=permissions.ORDER_CANCEL,
        status=200,
        errors=(*REFUSED, PaymentsUnavailable),
    )
    async def cancel_order(self, order_id: UUID, uow: UnitOfWork) -> Order:
        """Cancel an order before it is paid."""
        return await OrderService(uow).cancel(order_id)
