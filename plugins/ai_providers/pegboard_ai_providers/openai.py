"""Any server that speaks OpenAI's chat completions API: OpenAI itself, llama.cpp, vLLM, Ollama and others.

Source of the format: OpenAI's API reference, "Chat Completions": `POST {base}/chat/completions`; streamed answers
are server-sent events whose data is JSON and at last `[DONE]`; `stream_options.include_usage` asks for the tokens in
a last event.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

import msgspec
from pegboard_sdk import Secret, SteppedUnitOfWork
from pegboard_sdk.ai import AIProvider, ChatChunk, ChatCompletion, ChatRequest, TokenUsage
from pegboard_sdk.errors import DomainError
from pegboard_sdk.outbound import (
    Outbound,
    OutboundAddressInvalid,
    OutboundFailed,
    OutboundRefused,
    OutboundStream,
    OutboundTooLarge,
)

from pegboard_ai_providers.errors import ProviderAnswerUnreadable, ProviderBusy, ProviderFailed, ProviderNotSetUp

__all__ = ("OpenAICompatible",)

BASE_URL = "ai_providers.openai_base_url"
API_KEY = "ai_providers.openai_api_key"
MAX_ANSWER = 8 * 1024 * 1024
MAX_TIMEOUT = 630.0
"""Seconds: more than whoever asks may be patient for, so that theirs is what ends the wait."""
EVENTS = "text/event-stream"
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class _Usage(msgspec.Struct):
    prompt_tokens: Count
    completion_tokens: Count


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


class _ChunkChoice(msgspec.Struct):
    delta: _Message = _Message()
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_ChunkChoice] | None = None
    usage: _Usage | None = None
    error: Any = None


class OpenAICompatible:
    """`pegboard_sdk.ai.TenantAIProvider` over HTTP. `base_url` is used where the vault has none. How long an answer may
    take is the caller's to say.
    """

    name = "openai_compatible"
    secrets = (BASE_URL, API_KEY)

    def __init__(self, *, base_url: str) -> None:
        self._base_url = base_url

    def bind(self, uow: SteppedUnitOfWork) -> AIProvider:
        """The provider, which calls by way of `uow`."""
        return _Bound(uow.outbound, self._base_url)


class _Bound:
    name = OpenAICompatible.name
    secrets = OpenAICompatible.secrets

    def __init__(self, outbound: Outbound, base_url: str) -> None:
        self._outbound = outbound
        self._base_url = base_url

    async def complete(self, request: ChatRequest, *, secrets: Mapping[str, Secret]) -> ChatCompletion:
        """The whole answer at once.

        Raises:
            ProviderNotSetUp, ProviderFailed, ProviderBusy, ProviderAnswerUnreadable: see each.
        """
        async with self._ask(request, secrets, stream=False) as response:
            body = b"".join([part async for part in response.pieces()])
        answer = _decoded(body, _Answer)
        if not answer.choices:
            raise ProviderAnswerUnreadable("The provider's answer holds no choice.")
        choice = answer.choices[0]
        return ChatCompletion(
            model=answer.model or request.model,
            content=choice.message.content or "",
            finish_reason=choice.finish_reason or "stop",
            usage=_usage(answer.usage),
        )

    async def stream(self, request: ChatRequest, *, secrets: Mapping[str, Secret]) -> AsyncIterator[ChatChunk]:
        """The answer in pieces, as they come.

        Raises:
            ProviderNotSetUp, ProviderFailed, ProviderBusy, ProviderAnswerUnreadable: see each, also amid the answer.
        """
        ended = False
        async with self._ask(request, secrets, stream=True) as response:
            if not response.headers.get("content-type", "").startswith(EVENTS):
                raise ProviderAnswerUnreadable("The provider's answer is not a stream of events, as was asked for.")
            async with aclosing(_events(response)) as events:
                async for data in events:
                    if data == b"[DONE]":
                        ended = True
                        break
                    chunk = _chunk(data)
                    ended = ended or chunk.finish_reason is not None
                    yield chunk
        if not ended:
            raise ProviderFailed("The provider broke off amid the answer. Try again.")

    @asynccontextmanager
    async def _ask(
        self, request: ChatRequest, secrets: Mapping[str, Secret], *, stream: bool
    ) -> AsyncIterator[OutboundStream]:
        url = _address(secrets[BASE_URL].reveal() if BASE_URL in secrets else self._base_url)
        headers = {}
        if API_KEY in secrets:
            headers["authorization"] = f"Bearer {secrets[API_KEY].reveal().strip()}"
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature_milli / 1000,
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        try:
            async with self._outbound.stream(
                "POST", url, json=body, headers=headers, timeout=MAX_TIMEOUT, max_bytes=MAX_ANSWER
            ) as response:
                if response.status != 200:
                    raise _refusal(response)
                yield response
        except OutboundAddressInvalid as error:
            raise _not_set_up("The language model's address is none") from error
        except OutboundRefused as error:
            raise ProviderNotSetUp(
                "The language model's address is in a private network: the administrator has to name it in"
                " [pegboard.outbound] private_hosts for ai_providers.",
                retry_after=300,
            ) from error
        except OutboundTooLarge as error:
            raise ProviderAnswerUnreadable("The provider's answer is too large.") from error
        except OutboundFailed as error:
            raise ProviderFailed("The provider can't be reached, or broke off. Try again in a moment.") from error


def _address(base: str) -> str:
    """Where to ask, from what the administrator says."""
    if not base.strip():
        raise _not_set_up("No language model is set up here")
    return f"{base.strip().rstrip('/')}/chat/completions"


def _not_set_up(state: str) -> ProviderNotSetUp:
    return ProviderNotSetUp(
        f"{state}: the administrator sets plugins.ai_providers.base_url, or stores the address by"
        f" `pegboard secrets set {BASE_URL}`.",
        retry_after=300,
    )


def _refusal(response: OutboundStream) -> DomainError:
    """What a status other than 200 means to the caller. The provider's own text stays here: it may quote the key."""
    if response.status == 429:
        return ProviderBusy("The provider has too much to do. Try again later.", retry_after=_seconds(response.headers))
    if response.status in (401, 403):
        return ProviderFailed("The provider refuses our key: the administrator has to store a valid one.")
    if response.status in (400, 404, 422):
        return ProviderFailed(
            "The provider refuses the request: it may not know the model, or the text is too long for it."
        )
    return ProviderFailed("The provider failed. Try again in a moment.")


def _seconds(headers: Mapping[str, str]) -> int:
    try:
        return max(1, min(3600, math.ceil(float(headers.get("retry-after", "30")))))
    except (ValueError, OverflowError):  # a date, or no finite number
        return 30


async def _events(response: OutboundStream) -> AsyncGenerator[bytes]:
    """The data of server-sent events. Lines are cut as bytes: as text they would end at any of Unicode's separators,
    which may stand amid JSON.
    """
    rest = b""
    async with aclosing(response.pieces()) as parts:
        async for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if data := line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b"":
                    yield data


def _decoded(data: bytes, type: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=type)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProviderAnswerUnreadable("The provider's answer is not what its API should give.") from error


def _chunk(data: bytes) -> ChatChunk:
    chunk = _decoded(data, _Chunk)
    if chunk.error is not None:
        raise ProviderFailed("The provider failed amid the answer. Try again.")
    choice = chunk.choices[0] if chunk.choices else _ChunkChoice()
    return ChatChunk(content=choice.delta.content or "", finish_reason=choice.finish_reason, usage=_usage(chunk.usage))


def _usage(usage: _Usage | None) -> TokenUsage | None:
    return None if usage is None else TokenUsage(usage.prompt_tokens, usage.completion_tokens)
