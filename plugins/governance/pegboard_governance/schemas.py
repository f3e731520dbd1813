"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

__all__ = ("Consent", "ConsentCreate", "ConsentRecord", "Notice", "NoticeCreate", "Purpose", "PurposeCreate")

Slug = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{1,62}$", description="snake_case", examples=["newsletter"])]
NoticeText = Annotated[str, msgspec.Meta(min_length=10, max_length=20_000)]
State = Literal["given", "withdrawn"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told about a purpose. The highest version is in force."""

    version: int
    text: str
    published_at: datetime


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """Something that data is processed for, with the notice in force."""

    slug: str
    title: str
    notice: Notice


class PurposeCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new purpose and its first notice."""

    slug: Slug
    title: Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
    notice: NoticeText


class NoticeCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new version of a notice."""

    text: NoticeText


class ConsentCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version of the notice that the person was shown."""

    notice_version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody stands on a purpose. `current` is whether the consent covers the notice in force."""

    purpose: str
    state: State
    notice_version: int
    current: bool
    changed_at: datetime


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change in the history, which is never rewritten."""

    id: UUID
    purpose: str
    state: State
    notice_version: int
    recorded_at: datetime
