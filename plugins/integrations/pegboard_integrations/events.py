"""What integrations tells others."""

from typing import ClassVar
from uuid import UUID

from pegboard_sdk import Event

__all__ = ("EVENTS", "WebhookReceived")


class WebhookReceived(Event, frozen=True, kw_only=True):
    """Another program told something. `provider` is the connector's name, `event` the sender's word for what happened;
    the payload is read by `delivery_id`, the id of our row. `replay` counts how often an administrator had it take
    effect again.
    """

    name: ClassVar[str] = "integrations.webhook_received"
    delivery_id: UUID
    provider: str
    event: str
    replay: int = 0


EVENTS: tuple[type[Event], ...] = (WebhookReceived,)
