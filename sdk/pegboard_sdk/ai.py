"""AI providers: what ai_providers needs from whoever runs a language model (hook `ai_providers`)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Literal, Protocol, runtime_checkable

import msgspec

from pegboard_sdk.settings import Secret
from pegboard_sdk.work import SteppedUnitOfWork

__all__ = (
    "AIProvider",
    "ChatChunk",
    "ChatCompletion",
    "ChatMessage",
    "ChatRequest",
    "TenantAIProvider",
    "TokenUsage",
)


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, msgspec.Meta(max_length=100_000)]


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to complete. `max_tokens` bounds the answer; `temperature` is in thousandths, so that requests compare
    exactly.
    """

    model: str
    messages: Sequence[ChatMessage]
    max_tokens: int
    temperature_milli: int = 700


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer; `usage` is None where the provider does not count."""

    model: str
    content: str
    finish_reason: str
    usage: TokenUsage | None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer; the last one carries `usage`, if the provider counts."""

    content: str = ""
    finish_reason: str | None = None
    usage: TokenUsage | None = None


class AIProvider(Protocol):
    """One provider. Methods call out: they are never called inside a transaction. Failures are `UpstreamFailed`,
    `TooManyRequests` or `Unavailable`.
    """

    @property
    def name(self) -> str:
        """snake_case; what a request names it by."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """Vault names of what it needs, such as its key. Those that the vault holds are given to each call."""
        ...

    async def complete(self, request: ChatRequest, *, secrets: Mapping[str, Secret]) -> ChatCompletion:
        """The whole answer at once."""
        ...

    def stream(self, request: ChatRequest, *, secrets: Mapping[str, Secret]) -> AsyncIterator[ChatChunk]:
        """The answer in pieces, as they come. Closing the iterator stops the provider."""
        ...


@runtime_checkable
class TenantAIProvider(Protocol):
    """A provider that uses the unit of work, as one that calls over `uow.outbound` does.

    The hook may return one in place of an `AIProvider`; it is bound before each use.
    """

    @property
    def name(self) -> str:
        """snake_case; what a request names it by."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """Vault names of what it needs, such as its key; they must be in its manifest. Those that the vault holds are
        given to each call.
        """
        ...

    def bind(self, uow: SteppedUnitOfWork) -> AIProvider:
        """The provider for one request; `uow` acts as the plugin that brings the provider."""
        ...
