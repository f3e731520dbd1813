"""What governance tells others."""

from typing import ClassVar
from uuid import UUID

from pegboard_sdk import Event

__all__ = ("EVENTS", "ConsentGiven", "ConsentWithdrawn", "NoticePublished")


class NoticePublished(Event, frozen=True, kw_only=True):
    """A purpose has a new notice; consents to earlier ones don't cover it."""

    name: ClassVar[str] = "governance.notice_published"
    purpose: str
    notice_version: int


class ConsentGiven(Event, frozen=True, kw_only=True):
    """Somebody agreed to a purpose, under a version of its notice."""

    name: ClassVar[str] = "governance.consent_given"
    account_id: UUID
    purpose: str
    notice_version: int


class ConsentWithdrawn(Event, frozen=True, kw_only=True):
    """Somebody no longer agrees to a purpose."""

    name: ClassVar[str] = "governance.consent_withdrawn"
    account_id: UUID
    purpose: str


EVENTS: tuple[type[Event], ...] = (NoticePublished, ConsentGiven, ConsentWithdrawn)
