"""Language models over HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from uuid import UUID

import msgspec
from pegboard_sdk import SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.http import Controller, FromPath, Stream, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_ai_providers.errors import (
    ConsentMissing,
    ModelNotAllowed,
    ProviderAnswerUnreadable,
    ProviderBusy,
    ProviderFailed,
    ProviderNotSetUp,
    ProviderUnknown,
    QuotaExhausted,
)
from pegboard_ai_providers.permissions import COMPLETION_CREATE, USAGE_READ, USAGE_READ_ANY
from pegboard_ai_providers.schemas import Completion, CompletionCreate, Piece, Quota, Usage
from pegboard_ai_providers.service.completions import CompletionService
from pegboard_ai_providers.service.usage import UsageService

__all__ = ("AccountUsageController", "CompletionController", "UsageController")

MAX_TIMEOUT = 630.0
"""Seconds: more than a provider may be given, so that its own time-out is what ends the wait."""
ERRORS = (
    ConsentMissing,
    ModelNotAllowed,
    ProviderAnswerUnreadable,
    ProviderBusy,
    ProviderFailed,
    ProviderNotSetUp,
    ProviderUnknown,
    QuotaExhausted,
)


class CompletionController(Controller):
    """Answers of language models."""

    path = "/completions"

    @post(permission=COMPLETION_CREATE, external=True, status=200, timeout=MAX_TIMEOUT, errors=ERRORS)
    async def create_completion(self, data: CompletionCreate, uow: SteppedUnitOfWork) -> Completion:
        """Have a model go on with a conversation. Its tokens count against the day's quota."""
        return await CompletionService(uow).complete(data)

    @post(
        "/stream",
        permission=COMPLETION_CREATE,
        external=True,
        idempotency="none",
        status=200,
        media_type="text/event-stream",
        timeout=MAX_TIMEOUT,
        errors=ERRORS,
    )
    async def stream_completion(self, data: CompletionCreate, uow: SteppedUnitOfWork) -> Stream:
        """Have a model go on with a conversation, as server-sent events: `piece` events as the answer comes, then one
        `done` with the tokens. A stream that can't go on ends with `error`, and a problem, or with `closing` instead:
        what came is counted.
        """
        pieces = await CompletionService(uow).stream(data)
        return Stream(_events(pieces), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(pieces: AsyncGenerator[Piece]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):  # this may be closed at a `yield`, and what is under it must hear of that
        async for piece in pieces:
            name = b"piece" if piece.id is None else b"done"
            yield b"event: " + name + b"\ndata: " + msgspec.json.encode(piece) + b"\n\n"


class UsageController(Controller):
    """What one used."""

    path = "/"

    @get("/quota", permission=USAGE_READ)
    async def read_quota(self, uow: UnitOfWork) -> Quota:
        """What one used today and what is left."""
        return await UsageService(uow).quota(uow.principal.account)

    @get("/usage", permission=USAGE_READ)
    async def list_usage(self, uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None) -> Page[Usage]:
        """One's requests to models, newest first."""
        return await UsageService(uow).page(uow.principal.account, limit, cursor)


class AccountUsageController(Controller):
    """What anybody used, for administrators."""

    path = "/accounts/{account_id:uuid}"

    @get("/usage", permission=USAGE_READ_ANY)
    async def list_account_usage(
        self, account_id: FromPath[UUID], uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Usage]:
        """An account's requests to models, newest first; none for an account that there isn't."""
        return await UsageService(uow).page(account_id, limit, cursor)
