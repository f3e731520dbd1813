"""The ASGI application: what happens to every request before and after the generation that answers it."""

import asyncio
import re
import signal
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from litestar.config.cors import CORSConfig
from litestar.types import Message, Receive, Scope, Send
from opentelemetry.trace import SpanKind, StatusCode
from pegboard_sdk.errors import DomainError
from pegboard_sdk.http import EXCHANGE
from pegboard_sdk.ids import new_id

from pegboard.config.model import Config
from pegboard.plugins.generation import Generation
from pegboard.telemetry.logging import REQUEST, AccessLog
from pegboard.web.cookies import CSRF_HEADER
from pegboard.web.exchange import Exchange
from pegboard.web.leaving import heed
from pegboard.web.platform import Platform
from pegboard.web.problems import PROBLEM_JSON, encode_problem, to_domain_error

__all__ = ("Entry",)

PROBES = frozenset(("/health/live", "/health/ready"))
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_TARGET = 8_192
MAX_HEADERS = 32_768
_TRACEPARENT = re.compile(rb"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
CSP = b"default-src 'none'; frame-ancestors 'none'"
log = structlog.get_logger("pegboard.web")


class Misdirected(DomainError):
    """The request names a host that is not ours."""

    status = 421
    code = "misdirected_request"


class TargetTooLong(DomainError):
    """The path and query are too long."""

    status = 414
    code = "uri_too_long"


class HeadersTooLarge(DomainError):
    """The headers are too large."""

    status = 431
    code = "headers_too_large"


class Entry:
    """Gives each request its id, limits and time-out, hands it to the current generation, and logs and counts the
    answer. `stop_signals` are those that tell this process to end, where a server runs it.
    """

    def __init__(self, config: Config, access_log: AccessLog, *, stop_signals: Iterable[signal.Signals] = ()) -> None:
        self._config = config
        self._stop_signals = stop_signals
        self._platform = Platform(config)
        self._access_log = access_log
        http = config.http
        self._timeout = http.request_timeout
        self._per_ip = http.rate_per_ip
        self._hosts = frozenset(host.lower().encode() for host in http.allowed_hosts)
        self._cors = CORSConfig(
            allow_origins=list(http.allowed_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", CSRF_HEADER, "X-Tenant"],
            # A session in cookies is for origins that are named, never for all.
            allow_credentials="*" not in http.allowed_origins,
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed"],
        )
        self._security = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]
        if urlsplit(http.public_url).scheme == "https":
            self._security.append((b"strict-transport-security", b"max-age=63072000; includeSubDomains"))

    @property
    def platform(self) -> Platform:
        """What answers: the runtime and its generations."""
        return self._platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":  # type: ignore[comparison-overlap]  # litestar's Scope leaves it out
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": "not supported"})  # type: ignore[misc]

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message: Any = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._platform.start()
                    heed(self._stop_signals, self._platform.leave)
                except Exception as error:
                    log.exception("startup.failed")
                    await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})  # type: ignore[misc]
                    return
                await send({"type": "lifespan.startup.complete"})  # type: ignore[misc]
            elif message["type"] == "lifespan.shutdown":
                await self._platform.stop()
                await send({"type": "lifespan.shutdown.complete"})  # type: ignore[misc]
                return

    async def _http(self, scope: Any, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""
        addresses = self._platform.addresses
        ip = addresses.caller(peer, headers.get(b"x-forwarded-for"))
        generation = self._platform.holder.current
        exchange = Exchange(self._platform.runtime, generation, scope, headers, new_id().hex, ip)
        scope[EXCHANGE] = exchange
        REQUEST.set(exchange)
        answer = _Answer(send, self, exchange, headers.get(b"origin"), head=exchange.head)
        if answer.head:
            scope["method"] = "GET"
        try:
            self._platform.runtime.limiter.check(f"ip:{addresses.group(ip)}", self._per_ip)
            self._check(scope, headers)
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers and answer.origin:
                await self._preflight(answer)
            else:
                async with asyncio.timeout(self._timeout) as limit:
                    exchange.limit = limit
                    await self._dispatch(generation, scope, receive, answer)
        except Exception as error:
            if answer.status:
                log.warning("response.broken", request_id=exchange.request_id, error=repr(error))
                raise
            await answer.problem(exchange.told(to_domain_error(error, request_id=exchange.request_id)))
        finally:
            self._record(scope, exchange, answer.status or 499, time.perf_counter() - started)
        await exchange.note_outcome()

    async def _dispatch(self, generation: Generation, scope: Any, receive: Receive, answer: "_Answer") -> None:
        tracing = self._platform.runtime.tracing
        if not tracing.on:
            await generation(scope, receive, answer)
            return
        carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in answer.exchange.headers.items()}
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with tracing.span(scope["method"], kind=SpanKind.SERVER, carrier=carrier, attributes=attributes) as span:
            answer.exchange.trace = f"{span.get_span_context().trace_id:032x}"
            await generation(scope, receive, answer)
            template = str(scope.get("path_template", ""))
            span.update_name(f"{scope['method']} {template}".rstrip())
            span.set_attribute("http.route", template)
            span.set_attribute("http.response.status_code", answer.status)
            span.set_attribute("pegboard.plugin", answer.exchange.plugin)
            span.set_attribute("pegboard.request_id", answer.exchange.request_id)
            if answer.status >= 500:
                span.set_status(StatusCode.ERROR)

    def _check(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
            raise TargetTooLong(f"The path and query are longer than {MAX_TARGET} bytes.")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            raise HeadersTooLarge(f"The headers are larger than {MAX_HEADERS} bytes.")
        if self._hosts and headers.get(b"host", b"").rsplit(b":", 1)[0].lower() not in self._hosts:
            raise Misdirected("This host name is not served here.")

    async def _preflight(self, answer: "_Answer") -> None:
        allowed = self.allows(answer.origin)
        headers = [(k.lower().encode(), v.encode()) for k, v in self._cors.preflight_headers.items()] if allowed else []
        await answer({"type": "http.response.start", "status": 204 if allowed else 403, "headers": headers})
        await answer({"type": "http.response.body", "body": b"", "more_body": False})

    def allows(self, origin: bytes | None) -> bool:
        """Whether scripts of `origin` may read our answers."""
        return bool(
            origin and self._config.http.allowed_origins and self._cors.is_origin_allowed(origin.decode("latin-1"))
        )

    def response_headers(self, present: list[tuple[bytes, bytes]], exchange: Exchange, origin: bytes | None) -> Any:
        """The answer's headers and those that every answer carries."""
        names = {name for name, _ in present}
        headers = [*present, *self._security, (b"x-request-id", exchange.request_id.encode())]
        if b"content-security-policy" not in names:
            headers.append((b"content-security-policy", CSP))
        if b"cache-control" not in names:
            headers.append((b"cache-control", b"no-store"))
        if origin is not None:
            headers.append((b"vary", b"Origin"))
            if self.allows(origin):
                if not self._cors.is_allow_all_origins:  # else Litestar's headers have the star
                    headers.append((b"access-control-allow-origin", origin))
                simple = [(k.lower().encode(), v.encode()) for k, v in self._cors.simple_headers.items()]
                headers += [(name, value) for name, value in simple if name not in names]  # a preflight has some
        return headers

    def _record(self, scope: Any, exchange: Exchange, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or "unknown")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._platform.runtime.metrics.observe_request(exchange.plugin, method, route, status, seconds)
        if not self._access_log.enabled:
            return
        if status == 200 and scope["path"] in PROBES:
            return  # somebody asks every few seconds; only what is wrong is worth a line
        failed = status >= 500
        principal = exchange.principal
        fields: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(),
            "level": "error" if failed else "info",
            "event": "request",
            "request_id": exchange.request_id,
            "method": scope["method"],
            "path": scope["path"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "plugin": exchange.plugin,
            "ip": exchange.ip,
        }
        if principal is not None:
            fields["tenant"] = str(principal.tenant_id)
            if principal.account_id is not None:
                fields["account"] = str(principal.account_id)
        if exchange.tries > 1:
            fields["tries"] = exchange.tries
        if trace := exchange.trace or _trace_id(exchange.headers.get(b"traceparent")):
            fields["trace"] = trace
        self._access_log.write(fields, failed=failed)


def _trace_id(traceparent: bytes | None) -> str:
    """The trace that a caller named (W3C trace context), for the log; nothing where the header is malformed."""
    found = _TRACEPARENT.match(traceparent) if traceparent is not None else None
    return found[1].decode() if found else ""


class _Answer:
    """The `send` of one request."""

    __slots__ = ("_entry", "_send", "exchange", "head", "origin", "status")

    def __init__(self, send: Send, entry: Entry, exchange: Exchange, origin: bytes | None, *, head: bool) -> None:
        self._send = send
        self._entry = entry
        self.exchange = exchange
        self.origin = origin
        self.head = head
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.exchange.limit is not None and not self.exchange.limit.expired():
                # From here on the time belongs to the receiver: a stream may take as long as it lives.
                self.exchange.limit.reschedule(None)
            message["headers"] = self._entry.response_headers(list(message["headers"]), self.exchange, self.origin)
        elif self.head and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    async def problem(self, error: DomainError) -> None:
        body = encode_problem(error, self.exchange.request_id)
        headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})
