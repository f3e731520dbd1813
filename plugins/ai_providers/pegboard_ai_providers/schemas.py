"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from pegboard_sdk.ai import ChatMessage
from pegboard_sdk.services import ModelAnswer, ModelPiece

__all__ = ("Completion", "CompletionCreate", "Piece", "Quota", "Usage", "UsageState")

MAX_MESSAGES = 200

UsageState = Literal["reserved", "settled", "failed", "lost"]


class CompletionCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A conversation to go on with. What is left out is the administrator's choice; an answer has 256 tokens at most
    where `max_tokens` is left out.
    """

    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1, max_length=MAX_MESSAGES)]
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    provider: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=64)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.7


class Completion(ModelAnswer, frozen=True, kw_only=True):
    """A model's answer. `id` is that of its usage row; `estimated` is whether the tokens are our guess, the provider
    not counting them.
    """


class Piece(ModelPiece, frozen=True, kw_only=True, omit_defaults=True):
    """An event of a streamed answer: `content` as it comes; the last one has the rest, as in `Completion`."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One request's tokens. `state`: reserved while the model answers, settled, failed (nothing counted), or lost (the
    process ended meanwhile: the reservation is counted).
    """

    id: UUID
    provider: str
    model: str
    state: UsageState
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    created_at: datetime


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """An account's tokens of today (UTC): `used` for good, `reserved` for answers under way."""

    limit: int
    used: int
    reserved: int
    resets_at: datetime
