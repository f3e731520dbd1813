"""The `send` of one request, and what every answer carries."""

from typing import Any
from urllib.parse import urlsplit

from litestar.types import Message, Send
from pegboard_sdk.errors import DomainError

from pegboard.config.model import HttpConfig
from pegboard.web.cors import Cors
from pegboard.web.exchange import Exchange
from pegboard.web.problems import PROBLEM_JSON, encode_problem

__all__ = ("Answer", "AnswerHeaders")

Headers = list[tuple[bytes, bytes]]
_CSP = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
_NO_STORE = (b"cache-control", b"no-store")
_SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


class AnswerHeaders:
    """Made once, as far as they are the same for all answers."""

    def __init__(self, http: HttpConfig) -> None:
        self.cors = Cors(http.allowed_origins)
        self._always = list(_SECURITY)
        if urlsplit(http.public_url).scheme == "https":
            self._always.append(_HSTS)

    def of(self, present: Headers, exchange: Exchange, origin: bytes | None) -> Headers:
        """The answer's own headers and those that every answer carries."""
        headers = [*present, *self._always, (b"x-request-id", exchange.request_id.encode()), *self.cors.headers(origin)]
        names = [name for name, _ in present]
        if b"content-security-policy" not in names:
            headers.append(_CSP)
        if b"cache-control" not in names:
            headers.append(_NO_STORE)
        if exchange.rate is not None and b"ratelimit" not in names:
            headers += exchange.rate.headers()
        return headers


class Answer:
    """Adds the headers, and leaves the body out where HEAD was asked for."""

    __slots__ = ("_headers", "_send", "exchange", "origin", "status")

    def __init__(self, send: Send, headers: AnswerHeaders, exchange: Exchange) -> None:
        self._send = send
        self._headers = headers
        self.exchange = exchange
        self.origin = exchange.headers.get(b"origin")
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            limit = self.exchange.limit
            if limit is not None and not limit.expired():
                # From here on the time belongs to the receiver: a stream may take as long as it lives.
                limit.reschedule(None)
            message["headers"] = self._headers.of(list(message["headers"]), self.exchange, self.origin)
        elif message["type"] == "http.response.body" and self.exchange.head:
            message["body"] = b""
        await self._send(message)

    async def problem(self, error: DomainError) -> None:
        """Answer with a problem document."""
        body = encode_problem(error, self.exchange.request_id)
        headers: Any = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})

    async def preflight(self, origin: bytes) -> None:
        """Answer what a browser asks before it sends another origin's request."""
        status = 204 if self._headers.cors.allows(origin) else 403
        await self({"type": "http.response.start", "status": status, "headers": self._headers.cors.preflight(origin)})
        await self({"type": "http.response.body", "body": b"", "more_body": False})
