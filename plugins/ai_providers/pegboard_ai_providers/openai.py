"""Any server that speaks OpenAI's chat completions API: OpenAI itself, llama.cpp, vLLM, Ollama and others.

Source of the format: OpenAI's API reference, "Chat Completions": `POST {base}/chat/completions`; streamed answers
are server-sent events whose data is JSON and at last `[DONE]`; `stream_options.include_usage` asks for the tokens in
a last event.
"""

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec
from pegboard_sdk import Secret
from pegboard_sdk.ai import ChatChunk, ChatCompletion, ChatRequest, TokenUsage
from pegboard_sdk.errors import DomainError

from pegboard_ai_providers.errors import ProviderAnswerUnreadable, ProviderBusy, ProviderFailed, ProviderNotSetUp

__all__ = ("OpenAICompatible",)

BASE_URL = "ai_providers.openai_base_url"
API_KEY = "ai_providers.openai_api_key"
MAX_ANSWER = 8 * 1024 * 1024
CONNECT_TIMEOUT = 10.0
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
    """`pegboard_sdk.ai.AIProvider` over HTTP. `base_url` is used where the vault has none. How long an answer may take
    is the caller's to say.
    """

    name = "openai_compatible"
    secrets = (BASE_URL, API_KEY)

    def __init__(self, *, base_url: str) -> None:
        self._base_url = base_url
        self._timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
        self._tls: ssl.SSLContext | None = None

    async def complete(self, request: ChatRequest, *, secrets: Mapping[str, Secret]) -> ChatCompletion:
        """The whole answer at once.

        Raises:
            ProviderNotSetUp, ProviderFailed, ProviderBusy, ProviderAnswerUnreadable: see each.
        """
        async with self._ask(request, secrets, stream=False) as response:
            body = b"".join([part async for part in _bounded(response)])
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
    ) -> AsyncIterator[httpx.Response]:
        url = _address(secrets[BASE_URL].reveal() if BASE_URL in secrets else self._base_url)
        headers = {}
        if API_KEY in secrets:
            headers["authorization"] = b"Bearer " + secrets[API_KEY].reveal().strip().encode()
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature_milli / 1000,
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)  # reads the certificates: once is enough
        try:
            async with (
                httpx.AsyncClient(timeout=self._timeout, verify=self._tls, follow_redirects=False) as client,
                client.stream("POST", url, json=body, headers=headers) as response,
            ):
                if response.status_code != 200:
                    raise _refusal(response)
                yield response
        except httpx.HTTPError as error:
            raise ProviderFailed("The provider can't be reached, or broke off. Try again in a moment.") from error


def _address(base: str) -> httpx.URL:
    """Where to ask, from what the administrator says."""
    try:
        url = httpx.URL(f"{base.strip().rstrip('/')}/chat/completions")
        if url.scheme in ("http", "https") and url.host and (url.port is None or 0 < url.port < 65536):
            return url
    except httpx.InvalidURL:
        pass  # refused as the others
    state = "The language model's address is none" if base.strip() else "No language model is set up here"
    raise ProviderNotSetUp(
        f"{state}: the administrator sets plugins.ai_providers.base_url, or stores the address by"
        f" `pegboard secrets set {BASE_URL}`.",
        retry_after=300,
    )


def _refusal(response: httpx.Response) -> DomainError:
    """What a status other than 200 means to the caller. The provider's own text stays here: it may quote the key."""
    if response.status_code == 429:
        return ProviderBusy("The provider has too much to do. Try again later.", retry_after=_seconds(response))
    if response.status_code in (401, 403):
        return ProviderFailed("The provider refuses our key: the administrator has to store a valid one.")
    if response.status_code in (400, 404, 422):
        return ProviderFailed(
            "The provider refuses the request: it may not know the model, or the text is too long for it."
        )
    return ProviderFailed("The provider failed. Try again in a moment.")


def _seconds(response: httpx.Response) -> int:
    try:
        return max(1, min(3600, math.ceil(float(response.headers.get("retry-after", "30")))))
    except (ValueError, OverflowError):  # a date, or no finite number
        return 30


async def _bounded(response: httpx.Response) -> AsyncGenerator[bytes]:
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER:
            raise ProviderAnswerUnreadable("The provider's answer is too large.")
        yield part


async def _events(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The data of server-sent events. httpx's lines won't do: they end at any of Unicode's separators, which may stand
    amid JSON.
    """
    rest = b""
    async with aclosing(_bounded(response)) as parts:
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
