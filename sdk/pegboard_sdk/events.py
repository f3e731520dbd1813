"""Events: what happened, told to whoever listens, at least once and only if the transaction committed."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

__all__ = ("Event", "EventHandler")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of a plugin's events. A subclass sets `name`: `<plugin>.<noun>_<past participle>`, and `version`.

    Fields are ids and small values: a handler reads the rows again. New fields need defaults; anything else needs a
    new `version`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1


E = TypeVar("E", bound=msgspec.Struct)


class EventHandler(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What a plugin does when an event happens, in a transaction of its own, as the system principal of the event's
    tenant.

    `type` is a Struct of the *listener's*, holding just the fields that it reads, so that no plugin imports another.
    Delivery is at least once and may come out of order: `handle` must be idempotent. An exception makes the kernel
    retry with back-off.
    """

    event: str
    name: str
    type: type[E]
    handle: "Callable[[UnitOfWork, E], Awaitable[None]]"
    max_attempts: int = 8


class EventMeta(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event came from: kept beside the payload."""

    id: UUID
    name: str
    version: int
    trace: str | None = None
