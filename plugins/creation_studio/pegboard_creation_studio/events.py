"""What the plugin tells others, and what it reads of finance's events."""

from typing import ClassVar
from uuid import UUID

import msgspec
from pegboard_sdk import Event

__all__ = (
    "EVENTS",
    "EscrowChanged",
    "GigArchived",
    "GigPublished",
    "OrderCancelled",
    "OrderCompleted",
    "OrderDelivered",
    "OrderEvent",
    "OrderPlaced",
    "OrderRefunded",
    "OrderStarted",
)


class GigPublished(Event, frozen=True):
    """A gig can be seen and ordered."""

    name: ClassVar[str] = "creation_studio.gig_published"
    gig_id: UUID
    owner_id: UUID


class GigArchived(Event, frozen=True):
    """A gig can't be ordered any more. `archived_by` is its owner or a moderator."""

    name: ClassVar[str] = "creation_studio.gig_archived"
    gig_id: UUID
    owner_id: UUID
    archived_by: UUID


class OrderEvent(Event, frozen=True):
    """Base of what happens to an order."""

    order_id: UUID
    gig_id: UUID
    buyer_id: UUID
    seller_id: UUID


class OrderPlaced(OrderEvent, frozen=True):
    """A client ordered a gig; it waits for the payment."""

    name: ClassVar[str] = "creation_studio.order_placed"


class OrderStarted(OrderEvent, frozen=True):
    """An order is paid; the work can begin."""

    name: ClassVar[str] = "creation_studio.order_started"


class OrderDelivered(OrderEvent, frozen=True):
    """The seller delivered."""

    name: ClassVar[str] = "creation_studio.order_delivered"


class OrderCompleted(OrderEvent, frozen=True):
    """The buyer accepted; the seller is paid."""

    name: ClassVar[str] = "creation_studio.order_completed"


class OrderCancelled(OrderEvent, frozen=True):
    """An order was called off before it was paid."""

    name: ClassVar[str] = "creation_studio.order_cancelled"


class OrderRefunded(OrderEvent, frozen=True):
    """The buyer got the money back."""

    name: ClassVar[str] = "creation_studio.order_refunded"


EVENTS: tuple[type[Event], ...] = (
    GigPublished,
    GigArchived,
    OrderPlaced,
    OrderStarted,
    OrderDelivered,
    OrderCompleted,
    OrderCancelled,
    OrderRefunded,
)


class EscrowChanged(msgspec.Struct, frozen=True):
    """What this plugin reads of `finance.escrow_funded`, `.escrow_refunded` and `.escrow_cancelled`."""

    escrow_id: UUID
    reference: str
