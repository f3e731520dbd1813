"""What the plugin tells others."""

from typing import ClassVar
from uuid import UUID

from pegboard_sdk import Event

__all__ = (
    "EVENTS",
    "EscrowCancelled",
    "EscrowEvent",
    "EscrowFunded",
    "EscrowRefunded",
    "EscrowReleased",
    "PaymentDeclined",
)


class EscrowEvent(Event, frozen=True, kw_only=True):
    """Base of what happens to an escrow. `reference` is that of whoever opened it."""

    escrow_id: UUID
    reference: str


class EscrowFunded(EscrowEvent, frozen=True, kw_only=True):
    """The payer's money is held."""

    name: ClassVar[str] = "finance.escrow_funded"


class EscrowReleased(EscrowEvent, frozen=True, kw_only=True):
    """The payee has the money, less the platform's fee."""

    name: ClassVar[str] = "finance.escrow_released"


class EscrowRefunded(EscrowEvent, frozen=True, kw_only=True):
    """The payer's money is on its way back."""

    name: ClassVar[str] = "finance.escrow_refunded"


class EscrowCancelled(EscrowEvent, frozen=True, kw_only=True):
    """An escrow was called off before it was funded."""

    name: ClassVar[str] = "finance.escrow_cancelled"


class PaymentDeclined(EscrowEvent, frozen=True, kw_only=True):
    """A provider refused a payment; the payer may try again."""

    name: ClassVar[str] = "finance.payment_declined"
    payment_id: UUID


EVENTS: tuple[type[Event], ...] = (EscrowFunded, EscrowReleased, EscrowRefunded, EscrowCancelled, PaymentDeclined)
