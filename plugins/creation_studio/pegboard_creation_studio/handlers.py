"""What the plugin does when money moved."""

from pegboard_sdk import EventHandler, UnitOfWork

from pegboard_creation_studio.events import EscrowChanged
from pegboard_creation_studio.service.orders import OrderService

__all__ = ("HANDLERS",)


async def start_order(uow: UnitOfWork, event: EscrowChanged) -> None:
    """The buyer paid: the work can begin."""
    await OrderService(uow).escrow_funded(event.escrow_id, event.reference)


async def refund_order(uow: UnitOfWork, event: EscrowChanged) -> None:
    """The buyer's money went back: the order ends."""
    await OrderService(uow).escrow_refunded(event.escrow_id, event.reference)


async def cancel_order(uow: UnitOfWork, event: EscrowChanged) -> None:
    """The escrow was called off before it was paid, and the order with it."""
    await OrderService(uow).escrow_cancelled(event.escrow_id, event.reference)


HANDLERS: tuple[EventHandler[EscrowChanged], ...] = (
    EventHandler(event="finance.escrow_funded", name="start_order", type=EscrowChanged, handle=start_order),
    EventHandler(event="finance.escrow_refunded", name="refund_order", type=EscrowChanged, handle=refund_order),
    EventHandler(event="finance.escrow_cancelled", name="cancel_order", type=EscrowChanged, handle=cancel_order),
)
