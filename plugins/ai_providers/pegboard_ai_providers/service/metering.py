"""Setting tokens aside before a call and counting them after it, each in a step of its own.

What ends between the two, whatever the reason, leaves a reservation: `settle_lost` counts it once its lease is over.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk import Secret, SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.ai import AIProvider, ChatRequest, TenantAIProvider, TokenUsage
from pegboard_sdk.services import Consent

from pegboard_ai_providers.errors import ConsentMissing, QuotaExhausted
from pegboard_ai_providers.events import CompletionMetered, QuotaWasExhausted
from pegboard_ai_providers.permissions import COMPLETION_CREATE
from pegboard_ai_providers.repository import UsageRepository
from pegboard_ai_providers.settings import Settings

__all__ = ("Meter", "Reservation", "next_midnight", "settle", "token_bound")

PER_REQUEST = 128
"""Tokens that a chat template adds to a request, at most, in the models that we know: some bring a system prompt."""
PER_MESSAGE = 8
"""Tokens that a chat template puts around each message, at most, in the models that we know."""
LEASE_GRACE = 60.0
"""Seconds that a reservation outlives the provider's time-out. It has to do for the receiver's taking of one piece (30
s in the kernel), too, and for what `RENEW_AFTER` leaves unrenewed.
"""
RENEW_AFTER = 15.0
log = structlog.get_logger("pegboard.ai_providers")


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was let through: its usage row, what the provider needs, and what it may use at most."""

    usage_id: UUID
    secrets: Mapping[str, Secret]
    prompt_bound: int
    max_tokens: int

    def bound(self, completion_tokens: int) -> TokenUsage:
        """What was used at most, where the provider doesn't say: never more than was set aside."""
        return TokenUsage(self.prompt_bound, min(completion_tokens, self.max_tokens))


class Meter:
    """Meters one request, for the account whose tokens it uses."""

    def __init__(self, uow: SteppedUnitOfWork, account_id: UUID) -> None:
        self._uow = uow
        self._account_id = account_id
        self._settings = uow.settings(Settings)
        self._lease = self._settings.timeout + LEASE_GRACE
        self._renewed = time.monotonic()

    async def reserve(self, provider: AIProvider | TenantAIProvider, request: ChatRequest) -> Reservation:
        """Set aside what the request uses at most.

        Raises:
            ConsentMissing: its texts may not be sent.
            QuotaExhausted: the day's tokens don't suffice.
            ServiceMissing: consent is asked for, and governance is off.
        """
        prompt_bound = PER_REQUEST + sum(token_bound(message.content) + PER_MESSAGE for message in request.messages)
        tokens = prompt_bound + request.max_tokens
        self._renewed = time.monotonic()
        async with self._uow.step() as uow:
            account_id = self._account_id
            await self._check_consent(uow, account_id)
            usage = UsageRepository(uow)
            day = await usage.reserve(account_id, tokens=tokens, limit=self._settings.daily_tokens)
            if day is not None:
                usage_id = await usage.insert(
                    account_id, provider=provider.name, model=request.model, day=day, tokens=tokens, lease=self._lease
                )
                secrets = {name: secret for name in provider.secrets if (secret := await uow.secret(name, of=provider))}
                return Reservation(
                    usage_id=usage_id, secrets=secrets, prompt_bound=prompt_bound, max_tokens=request.max_tokens
                )
            # The refusal is told to others, so it does not roll this step back.
            exhausted = await usage.note_exhausted(account_id)
            if exhausted is not None:
                await uow.emit(QuotaWasExhausted(account_id=account_id, day=exhausted))
        raise self._refusal(tokens)

    async def keep(self, reservation: Reservation) -> None:
        """Say that the request is still under way; to be called while it is."""
        if time.monotonic() - self._renewed < RENEW_AFTER:
            return
        self._renewed = time.monotonic()
        async with self._uow.step(settles=True) as uow:
            await UsageRepository(uow).renew(reservation.usage_id, self._lease)

    async def release(self, reservation: Reservation) -> None:
        """End a reservation of which nothing was used. Why the call failed is what the caller is about to hear, so a
        failure here is logged, and the reservation left to be counted as lost.
        """
        try:
            await _to_its_end(self._release(reservation.usage_id))
        except Exception:
            log.exception("reservation.not_released", usage_id=str(reservation.usage_id))

    async def settle(self, reservation: Reservation, usage: TokenUsage, *, estimated: bool) -> None:
        """Count what was used, even while this task is being cancelled: the provider has done its part."""
        await _to_its_end(self._settle(reservation.usage_id, usage, estimated=estimated))

    async def _release(self, usage_id: UUID) -> None:
        async with self._uow.step(settles=True) as uow:
            await UsageRepository(uow).settle(usage_id, "failed", TokenUsage(0, 0), estimated=False)

    async def _settle(self, usage_id: UUID, usage: TokenUsage, *, estimated: bool) -> None:
        async with self._uow.step(settles=True) as uow:
            await settle(uow, usage_id, "settled", usage, estimated=estimated)

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

    def _refusal(self, tokens: int) -> QuotaExhausted:
        limit = self._settings.daily_tokens
        if tokens > limit:
            detail = f"This needs up to {tokens} tokens, more than the {limit} of a whole day. Ask for less."
        else:
            detail = (
                f"This needs up to {tokens} tokens, more than is left of today's {limit}."
                " Ask for less, or wait until midnight UTC."
            )
        seconds = (next_midnight() - datetime.now(UTC)).total_seconds()
        return QuotaExhausted(detail, retry_after=int(seconds) + 1)


async def settle(
    uow: UnitOfWork, usage_id: UUID, state: Literal["settled", "lost"], usage: TokenUsage, *, estimated: bool
) -> None:
    """End a reservation, tell the others and leave an audit entry; once, however often it is called."""
    row = await UsageRepository(uow).settle(usage_id, state, usage, estimated=estimated)
    if row is None:
        return
    await uow.emit(
        CompletionMetered(
            usage_id=usage_id,
            account_id=row["account_id"],
            provider=row["provider"],
            model=row["model"],
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            estimated=estimated,
        )
    )
    await uow.audit(
        COMPLETION_CREATE,
        object_type="completion",
        object_id=usage_id,
        after={
            "state": state,
            "model": row["model"],
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            **({} if uow.caller == uow.plugin else {"plugin": uow.caller}),
        },
    )


def token_bound(text: str) -> int:
    """More tokens than its UTF-8 bytes a text can't have, in a byte-level vocabulary."""
    return len(text.encode())


def next_midnight() -> datetime:
    """When the day's quota begins anew (UTC)."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


async def _to_its_end(step: Coroutine[Any, Any, None]) -> None:
    """Run `step` to its end though this task is cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.create_task(step)
    try:
        await asyncio.wait((task,))
    finally:
        if not task.done():
            await asyncio.wait((task,))
    task.result()
