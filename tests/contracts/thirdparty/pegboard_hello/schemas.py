"""What requests hold and answers show."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

__all__ = ("Draft", "DraftCreate", "Greeting", "GreetingCreate")

Text = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class GreetingCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A greeting for somebody."""

    account_id: UUID
    text: Text


class DraftCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An occasion to greet somebody."""

    occasion: Text


class Draft(msgspec.Struct, frozen=True):
    """Words to begin with. Nothing is sent yet."""

    text: str


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """A greeting. `delivered_at` is null as long as it is on its way."""

    id: UUID
    account_id: UUID
    gig_id: UUID | None
    text: str
    delivered_at: datetime | None
    created_at: datetime
