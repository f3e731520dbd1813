"""Words by a language model: a service of another plugin, within the quota of who asks."""

from pegboard_sdk import SteppedUnitOfWork
from pegboard_sdk.ai import ChatMessage
from pegboard_sdk.services import ModelGateway

__all__ = ("word_greeting",)

INSTRUCTION = "Write one friendly sentence for the occasion that you are told. Give the sentence only."
MAX_TOKENS = 100


async def word_greeting(uow: SteppedUnitOfWork, occasion: str) -> str:
    """A greeting for an occasion.

    Raises:
        ServiceMissing: no enabled plugin offers language models.
        DomainError: as `ModelGateway.complete`.
    """
    messages = [ChatMessage("system", INSTRUCTION), ChatMessage("user", occasion)]
    answer = await uow.service(ModelGateway).complete(uow, messages, max_tokens=MAX_TOKENS)
    return answer.content.strip()
