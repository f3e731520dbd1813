"""Language models for other plugins, on the terms on which anybody has them over HTTP."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

import msgspec
from pegboard_sdk import SteppedUnitOfWork
from pegboard_sdk.ai import ChatMessage
from pegboard_sdk.services import ModelAnswer, ModelGateway, ModelPiece

from pegboard_ai_providers.errors import ModelNotAllowed
from pegboard_ai_providers.schemas import CompletionCreate
from pegboard_ai_providers.service.completions import CompletionService

__all__ = ("ModelGatewayService",)


class ModelGatewayService(ModelGateway):
    """On the terms of the marketplace: its models, quotas and consent."""

    async def complete(
        self,
        uow: SteppedUnitOfWork,
        messages: Sequence[ChatMessage],
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.7,
        account_id: UUID | None = None,
    ) -> ModelAnswer:
        asked = _asked(messages, model, max_tokens, temperature)
        return await CompletionService(uow, _payer(uow, account_id)).complete(asked)

    async def stream(
        self,
        uow: SteppedUnitOfWork,
        messages: Sequence[ChatMessage],
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.7,
        account_id: UUID | None = None,
    ) -> AsyncGenerator[ModelPiece]:
        asked = _asked(messages, model, max_tokens, temperature)
        return await CompletionService(uow, _payer(uow, account_id)).stream(asked)


def _asked(
    messages: Sequence[ChatMessage], model: str | None, max_tokens: int | None, temperature: float
) -> CompletionCreate:
    asked = CompletionCreate(messages=list(messages), model=model, max_tokens=max_tokens, temperature=temperature)
    try:
        return msgspec.convert(msgspec.to_builtins(asked), CompletionCreate)  # the bounds that a request is held to
    except msgspec.ValidationError as error:
        raise ModelNotAllowed(f"This can't be asked of a model: {error}.") from error


def _payer(uow: SteppedUnitOfWork, account_id: UUID | None) -> UUID:
    payer = account_id or uow.principal.account_id
    if payer is None:
        raise ModelNotAllowed("Nobody is logged in here: say whose tokens are spent, by account_id.")
    return payer
