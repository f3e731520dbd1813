"""Having a model answer: reserve, call, settle. No transaction is open while the model works."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from pegboard_sdk import Record, Secret, SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.ai import AIProvider, ChatRequest, TokenUsage
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.services import Consent

from pegboard_ai_providers.errors import (
    ConsentMissing,
    ModelNotAllowed,
    ProviderFailed,
    ProviderUnknown,
    QuotaExhausted,
)
from pegboard_ai_providers.events import CompletionMetered, QuotaWasExhausted
from pegboard_ai_providers.permissions import COMPLETION_CREATE
from pegboard_ai_providers.repository import UsageRepository
from pegboard_ai_providers.schemas import Completion, CompletionCreate, Piece, Quota, Usage
from pegboard_ai_providers.settings import Settings

__all__ = ("CompletionService", "UsageService")

PER_MESSAGE = 8
"""Tokens that a chat template puts around each message, at most, in the models that we know."""
LEASE_GRACE = 60.0


class _Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was let through: its usage row, and what it is sent with."""

    usage_id: UUID
    provider: AIProvider
    secrets: Mapping[str, Secret]
    request: ChatRequest
    prompt_bound: int


class CompletionService:
    """Answers of language models, one account's."""

    def __init__(self, uow: SteppedUnitOfWork) -> None:
        self._uow = uow
        self._settings = uow.settings(Settings)

    async def complete(self, data: CompletionCreate) -> Completion:
        """The whole answer.

        Raises:
            ProviderUnknown, ModelNotAllowed, ConsentMissing: the request may not be made.
            QuotaExhausted: the day's tokens don't suffice; nothing was sent.
            UpstreamFailed, TooManyRequests, Unavailable: the provider's failure; nothing is counted.
        """
        reserved = await self._reserve(data)
        try:
            answer = await reserved.provider.complete(reserved.request, secrets=reserved.secrets)
        except BaseException:
            await self._release(reserved)
            raise
        usage, estimated = answer.usage, False
        if usage is None:
            usage, estimated = TokenUsage(reserved.prompt_bound, _bound(answer.content)), True
        await self._settle(reserved, usage, estimated=estimated)
        return Completion(
            id=reserved.usage_id,
            provider=reserved.provider.name,
            model=answer.model,
            content=answer.content,
            finish_reason=answer.finish_reason,
            usage=usage,
            estimated=estimated,
        )

    async def stream(self, data: CompletionCreate) -> AsyncIterator[Piece]:
        """The answer in pieces, the first of which has come when this returns: what fails before it is an ordinary
        error.

        Whatever ends the iteration, the tokens so far are counted: the provider's count, else an upper bound.

        Raises:
            As `complete`.
        """
        reserved = await self._reserve(data)
        chunks = reserved.provider.stream(reserved.request, secrets=reserved.secrets)
        try:
            first = await anext(chunks, None)
            if first is None:
                raise ProviderFailed("The provider gave an empty answer. Try again.")
        except BaseException:
            await self._release(reserved)
            raise

        async def pieces() -> AsyncIterator[Piece]:
            usage: TokenUsage | None = None
            reason: str | None = None
            sent = 0
            try:
                async with aclosing(chunks):  # type: ignore[type-var]  # providers write async generators
                    chunk = first
                    while chunk is not None:
                        usage = chunk.usage or usage
                        reason = chunk.finish_reason or reason
                        sent += _bound(chunk.content)
                        if chunk.content:
                            yield Piece(content=chunk.content)
                        chunk = await anext(chunks, None)
            finally:
                counted = usage or TokenUsage(reserved.prompt_bound, min(sent, reserved.request.max_tokens))
                # The receiver may be gone and this task being cancelled: the count must still be written.
                await asyncio.shield(asyncio.create_task(self._settle(reserved, counted, estimated=usage is None)))
            yield Piece(id=reserved.usage_id, finish_reason=reason or "stop", usage=counted)

        return pieces()

    async def _reserve(self, data: CompletionCreate) -> _Reservation:
        provider = self._provider(data.provider)
        request = self._request(data)
        prompt_bound = sum(_bound(message.content) + PER_MESSAGE for message in request.messages)
        tokens = prompt_bound + request.max_tokens
        async with self._uow.step() as uow:
            account_id = uow.principal.account
            await self._check_consent(uow, account_id)
            usage = UsageRepository(uow)
            day = await usage.reserve(account_id, tokens=tokens, limit=self._settings.daily_tokens)
            if day is None:
                # The refusal is told to others, so it must not roll this step back.
                await uow.emit(QuotaWasExhausted(account_id=account_id, day=datetime.now(UTC).date()))
                reservation = None
            else:
                reservation = _Reservation(
                    usage_id=await usage.insert(
                        account_id,
                        provider=provider.name,
                        model=request.model,
                        day=day,
                        tokens=tokens,
                        lease=self._settings.timeout * 2 + LEASE_GRACE,
                    ),
                    provider=provider,
                    secrets={name: secret for name in provider.secrets if (secret := await uow.secret(name))},
                    request=request,
                    prompt_bound=prompt_bound,
                )
        if reservation is None:
            raise QuotaExhausted(
                f"This needs up to {tokens} tokens, more than is left of today's {self._settings.daily_tokens}."
                " Ask for less, or wait until midnight UTC.",
                retry_after=int((_midnight() - datetime.now(UTC)).total_seconds()) + 1,
            )
        return reservation

    async def _check_consent(self, uow: UnitOfWork, account_id: UUID) -> None:
        purpose = self._settings.consent_purpose
        if not purpose:
            return
        consent = uow.service(Consent)  # asked for by the administrator: without governance nobody can have consented
        if not await consent.has(uow, account_id=account_id, purpose=purpose):
            raise ConsentMissing(
                f"Consent to the purpose {purpose} first: PUT /api/v1/governance/consents/{purpose}."
                " Your text was not sent."
            )

    async def _release(self, reserved: _Reservation) -> None:
        async with self._uow.step() as uow:
            await UsageRepository(uow).settle(
                reserved.usage_id, "failed", prompt_tokens=0, completion_tokens=0, estimated=False
            )

    async def _settle(self, reserved: _Reservation, usage: TokenUsage, *, estimated: bool) -> None:
        async with self._uow.step() as uow:
            await settle(
                uow,
                reserved.usage_id,
                "settled",
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                estimated=estimated,
            )

    def _provider(self, name: str | None) -> AIProvider:
        providers = self._uow.extensions("ai_providers")
        for provider in providers:
            if name is None or provider.name == name:
                return provider
        raise ProviderUnknown(
            f"There is no provider {name}; there are: {', '.join(provider.name for provider in providers) or 'none'}."
        )

    def _request(self, data: CompletionCreate) -> ChatRequest:
        settings = self._settings
        model = data.model or settings.default_model
        if settings.models and model not in settings.models:
            raise ModelNotAllowed(f"Choose one of these models: {', '.join(settings.models)}.")
        if data.max_tokens > settings.max_tokens:
            raise ModelNotAllowed(f"An answer may have {settings.max_tokens} tokens at most: lower max_tokens.")
        return ChatRequest(
            model=model,
            messages=data.messages,
            max_tokens=data.max_tokens,
            temperature_milli=round(data.temperature * 1000),
        )


async def settle(
    uow: UnitOfWork,
    usage_id: UUID,
    state: str,
    *,
    prompt_tokens: int,
    completion_tokens: int,
    estimated: bool,
) -> None:
    """End a reservation as `settled` or `lost`, tell the others and leave an audit entry; once, however often it is
    called.
    """
    row = await UsageRepository(uow).settle(
        usage_id,
        "settled" if state == "settled" else "lost",
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        estimated=estimated,
    )
    if row is None:
        return
    await uow.emit(
        CompletionMetered(
            usage_id=usage_id,
            account_id=row["account_id"],
            provider=row["provider"],
            model=row["model"],
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
    )
    await uow.audit(
        COMPLETION_CREATE,
        object_type="completion",
        object_id=usage_id,
        after={"model": row["model"], "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
    )


class UsageService:
    """What an account used."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._usage = UsageRepository(uow)

    async def quota(self, account_id: UUID) -> Quota:
        """An account's tokens of today."""
        row = await self._usage.today(account_id)
        return Quota(
            limit=self._uow.settings(Settings).daily_tokens,
            used=row["used_tokens"] if row else 0,
            reserved=row["reserved_tokens"] if row else 0,
            resets_at=_midnight(),
        )

    async def page(self, account_id: UUID, limit: int, cursor: str | None) -> Page[Usage]:
        """An account's requests, newest first.

        Raises:
            InvalidCursor: the cursor is not this list's.
        """
        position = decode_cursor(cursor, (UUID,))
        rows = await self._usage.page(account_id, position[0] if position else None, limit + 1)
        following = encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
        return Page([_shown(row) for row in rows[:limit]], following)

    async def settle_lost(self, limit: int) -> int:
        """End reservations whose process is gone, counting all that was set aside: what it used can't be known. Gives
        how many.
        """
        rows = await self._usage.expired(limit)
        for row in rows:
            await settle(
                self._uow,
                row["id"],
                "lost",
                prompt_tokens=row["reserved_tokens"],
                completion_tokens=0,
                estimated=True,
            )
        return len(rows)


def _bound(text: str) -> int:
    """More tokens than its UTF-8 bytes a text can't have, in a byte-level vocabulary."""
    return len(text.encode())


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _shown(row: Record) -> Usage:
    return Usage(
        id=row["id"],
        provider=row["provider"],
        model=row["model"],
        state=row["state"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        estimated=row["estimated"],
        created_at=row["created_at"],
    )
