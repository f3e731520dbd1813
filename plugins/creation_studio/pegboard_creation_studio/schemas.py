"""What requests hold and answers show."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pegboard_sdk import Money
from pegboard_sdk.money import CurrencyCode

from pegboard_creation_studio.states import GigState, OrderState

__all__ = (
    "Delivery",
    "DeliveryCreate",
    "Gig",
    "GigCreate",
    "GigPatch",
    "GigSummary",
    "Order",
    "OrderCreate",
    "OrderDetail",
    "Price",
)

TITLE_MIN = 5

# PostgreSQL's text holds everything but NUL; a title is one line.
Title = Annotated[str, Meta(min_length=TITLE_MIN, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
Description = Annotated[str, Meta(max_length=10_000, pattern=r"^[^\x00]*$")]
Language = Annotated[str, Meta(pattern="^[a-z]{2}$", description="ISO 639-1 code", examples=["en"])]
DeliveryDays = Annotated[int, Meta(ge=1, le=365, description="Days from payment to delivery")]
Slug = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
Category = Annotated[Slug, Meta(description="A term of the taxonomy `service_categories`", examples=["design"])]
Tags = Annotated[
    list[Slug], Meta(max_length=10, description="Terms of the taxonomy `skills`", examples=[["logo-design"]])
]
Note = Annotated[str, Meta(max_length=2_000, pattern=r"^[^\x00]*$")]
Message = Annotated[str, Meta(min_length=1, max_length=5_000, pattern=r"^[^\x00]*$")]


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a gig costs, in minor units of `currency`, one that the marketplace trades in."""

    amount: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Minor units, such as cents")]
    currency: CurrencyCode


class GigCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new gig. `language` is what it is written in: the marketplace's language unless given."""

    title: Title
    description: Description = ""
    price: Price
    delivery_days: DeliveryDays
    language: Language | None = None
    category: Category | None = None
    tags: Tags = []


class GigPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a gig; what is left out stays."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    delivery_days: DeliveryDays | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    category: Category | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET


class Gig(msgspec.Struct, frozen=True, kw_only=True):
    """A service that a provider offers. `version` is its ETag."""

    id: UUID
    owner_id: UUID
    state: GigState
    title: str
    description: str
    language: str
    price: Money
    delivery_days: int
    category: str | None
    tags: list[str]
    version: int
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime


class GigSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A gig as lists show it."""

    id: UUID
    owner_id: UUID
    state: GigState
    title: str
    price: Money
    delivery_days: int
    category: str | None
    tags: list[str]
    published_at: datetime | None


class OrderCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An order of a published gig. `note` tells the seller what is wanted."""

    gig_id: UUID
    note: Note = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order, with the gig's terms as they were when it was placed.

    Its money waits in the escrow `escrow_id`; `due_at` is set once that is funded.
    """

    id: UUID
    gig_id: UUID
    gig_title: str
    buyer_id: UUID
    seller_id: UUID
    escrow_id: UUID
    state: OrderState
    price: Money
    delivery_days: int
    note: str
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DeliveryCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the seller delivers: a message with the work in it, or with where it is."""

    message: Message


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the seller delivered."""

    id: UUID
    message: str
    created_at: datetime


class OrderDetail(Order, frozen=True, kw_only=True):
    """An order and everything that was delivered for it, the oldest first."""

    deliveries: list[Delivery]
