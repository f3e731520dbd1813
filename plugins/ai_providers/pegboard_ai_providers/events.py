"""What the plugin tells others."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pegboard_sdk import Event

__all__ = ("EVENTS", "CompletionMetered", "QuotaWasExhausted")


class CompletionMetered(Event, frozen=True, kw_only=True):
    """A model answered; its tokens are counted. `estimated` is whether we guessed them: the provider did not say."""

    name: ClassVar[str] = "ai_providers.completion_metered"
    usage_id: UUID
    account_id: UUID
    provider: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    estimated: bool


class QuotaWasExhausted(Event, frozen=True, kw_only=True):
    """Somebody's tokens of the day did not suffice for a request. It is told once a day."""

    name: ClassVar[str] = "ai_providers.quota_exhausted"
    account_id: UUID
    day: date


EVENTS: tuple[type[Event], ...] = (CompletionMetered, QuotaWasExhausted)
