"""What this plugin tells others, and what it reads of creation_studio's events."""

from typing import ClassVar
from uuid import UUID

import msgspec
from pegboard_sdk import Event

__all__ = ("EVENTS", "GigPublished", "GreetingDelivered")


class GreetingDelivered(Event, frozen=True):
    """A greeting reached whom it was for."""

    name: ClassVar[str] = "hello.greeting_delivered"
    greeting_id: UUID
    account_id: UUID


EVENTS = (GreetingDelivered,)


class GigPublished(msgspec.Struct, frozen=True):
    """What is read of `creation_studio.gig_published`: no plugin imports another."""

    gig_id: UUID
    owner_id: UUID
