"""Having a model answer: reserve, call, settle. No transaction is open while the model works."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from pegboard_sdk import SteppedUnitOfWork
from pegboard_sdk.ai import AIProvider, ChatChunk, ChatRequest, TenantAIProvider, TokenUsage

from pegboard_ai_providers.errors import ModelNotAllowed, ProviderFailed, ProviderUnknown
from pegboard_ai_providers.schemas import Completion, CompletionCreate, Piece
from pegboard_ai_providers.service.metering import Meter, Reservation, token_bound
from pegboard_ai_providers.settings import Settings

__all__ = ("CompletionService",)

DEFAULT_TOKENS = 256


class CompletionService:
    """Answers of language models, one account's: that of `account_id`, or who asks."""

    def __init__(self, uow: SteppedUnitOfWork, account_id: UUID | None = None) -> None:
        self._uow = uow
        self._settings = uow.settings(Settings)
        self._meter = Meter(uow, account_id or uow.principal.account)

    async def complete(self, data: CompletionCreate) -> Completion:
        """The whole answer.

        Raises:
            ProviderUnknown, ModelNotAllowed, ConsentMissing: the request may not be made.
            QuotaExhausted: the day's tokens don't suffice; nothing was sent.
            UpstreamFailed, TooManyRequests, Unavailable: the provider's failure; nothing is counted.
        """
        provider, request = self._provider(data.provider), self._request(data)
        reservation = await self._meter.reserve(provider, request)
        try:
            async with self._patience():
                answer = await self._bound(provider).complete(request, secrets=reservation.secrets)
        except Exception:
            await self._meter.release(reservation)
            raise
        usage = answer.usage or reservation.bound(token_bound(answer.content))
        await self._meter.settle(reservation, usage, estimated=answer.usage is None)
        return Completion(
            id=reservation.usage_id,
            provider=provider.name,
            model=answer.model,
            content=answer.content,
            finish_reason=answer.finish_reason,
            usage=usage,
            estimated=answer.usage is None,
        )

    async def stream(self, data: CompletionCreate) -> AsyncGenerator[Piece]:
        """The answer in pieces, the first of which has come when this returns: what fails before it is an ordinary
        error.

        Whatever ends the iteration, the tokens so far are counted: the provider's count, else an upper bound.

        Raises:
            As `complete`.
        """
        provider, request = self._provider(data.provider), self._request(data)
        reservation = await self._meter.reserve(provider, request)
        chunks = self._bound(provider).stream(request, secrets=reservation.secrets)
        try:
            first = await self._next(chunks)
            if first is None:
                raise ProviderFailed("The provider gave an empty answer. Try again.")
        except Exception:
            await self._meter.release(reservation)
            raise
        return self._pieces(reservation, first, chunks)

    async def _pieces(
        self, reservation: Reservation, first: ChatChunk, chunks: AsyncIterator[ChatChunk]
    ) -> AsyncGenerator[Piece]:
        usage: TokenUsage | None = None
        reason = "stop"
        tokens = 0
        try:
            chunk: ChatChunk | None = first
            while chunk is not None:
                usage = chunk.usage or usage
                reason = chunk.finish_reason or reason
                tokens += max(1, token_bound(chunk.content))  # models may think without a word
                if chunk.content:
                    yield Piece(content=chunk.content)
                await self._meter.keep(reservation)
                chunk = await self._next(chunks)
        finally:
            try:
                await _close(chunks)
            finally:
                counted = usage or reservation.bound(tokens)
                await self._meter.settle(reservation, counted, estimated=usage is None)
        yield Piece(id=reservation.usage_id, finish_reason=reason, usage=counted, estimated=usage is None)

    async def _next(self, chunks: AsyncIterator[ChatChunk]) -> ChatChunk | None:
        async with self._patience():
            return await anext(chunks, None)

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settings.timeout):
                yield
        except TimeoutError as error:
            raise ProviderFailed("The provider took too long. Try again, or ask for a shorter answer.") from error

    def _bound(self, provider: AIProvider | TenantAIProvider) -> AIProvider:
        return provider.bind(self._uow) if isinstance(provider, TenantAIProvider) else provider

    def _provider(self, name: str | None) -> AIProvider | TenantAIProvider:
        providers = self._uow.extensions("ai_providers")
        for provider in providers:
            if name is None or provider.name == name:
                return provider
        raise ProviderUnknown(
            f"There is no provider {name}; there are: {', '.join(provider.name for provider in providers)}."
        )

    def _request(self, data: CompletionCreate) -> ChatRequest:
        settings = self._settings
        model = data.model or settings.default_model
        if settings.models and model not in settings.models:
            raise ModelNotAllowed(f"Choose one of these models: {', '.join(settings.models)}.")
        max_tokens = data.max_tokens or min(DEFAULT_TOKENS, settings.max_tokens)
        if max_tokens > settings.max_tokens:
            raise ModelNotAllowed(f"An answer may have {settings.max_tokens} tokens at most: lower max_tokens.")
        return ChatRequest(
            model=model,
            messages=data.messages,
            max_tokens=max_tokens,
            temperature_milli=round(data.temperature * 1000),
        )


async def _close(chunks: AsyncIterator[ChatChunk]) -> None:
    """Stop the provider. Providers mostly write async generators; a plain iterator has nothing to close."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
