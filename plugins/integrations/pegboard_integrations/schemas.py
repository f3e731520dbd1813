"""What goes out over HTTP."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

__all__ = ("Connector", "Delivery", "DeliveryDetail", "Receipt")


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a webhook: `accepted`, or `duplicate` if it had come before and nothing was done again."""

    id: UUID
    status: Literal["accepted", "duplicate"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that came in. `delivery_id` is the sender's."""

    id: UUID
    provider: str
    delivery_id: str
    event: str
    received_at: datetime
    replays: int


class DeliveryDetail(Delivery, frozen=True, kw_only=True):
    """A webhook with its JSON body as it came, `payload`, for looking at."""

    payload: msgspec.Raw


class Connector(msgspec.Struct, frozen=True, kw_only=True):
    """A program whose webhooks can be taken in. `url` is what to enter there; `ready` is whether its secret is in the
    vault.
    """

    name: str
    url: str
    secret: str
    ready: bool
