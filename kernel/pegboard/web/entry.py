"""The ASGI application: what happens to every request before and after the generation that answers it."""

import asyncio
import re
import signal
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog
from litestar.types import Receive, Scope, Send
from opentelemetry.trace import SpanKind, StatusCode
from pegboard_sdk.http import EXCHANGE
from pegboard_sdk.ids import new_id

from pegboard.config.model import Config
from pegboard.plugins.generation import Generation
from pegboard.telemetry.logging import REQUEST, AccessLog
from pegboard.web.answering import Answer, AnswerHeaders
from pegboard.web.exchange import Exchange
from pegboard.web.leaving import heed
from pegboard.web.platform import Platform
from pegboard.web.problems import to_domain_error
from pegboard.web.receiving import TimelyBody, has_body
from pegboard.web.screening import PROBES, Screen

__all__ = ("Entry",)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TRACEPARENT = re.compile(rb"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
log = structlog.get_logger("pegboard.web")


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
        self._body_timeout = http.body_timeout
        self._screen = Screen(http)
        self._headers = AnswerHeaders(http)

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
        ip = addresses.caller(peer, scope["headers"])
        generation = self._platform.holder.current
        runtime = self._platform.runtime
        exchange = Exchange(runtime, generation, scope, headers, new_id().hex, ip)
        scope[EXCHANGE] = exchange
        REQUEST.set(exchange)
        answer = Answer(send, self._headers, exchange)
        if exchange.head:
            scope["method"] = "GET"
        try:
            exchange.rate = runtime.limiter.check(f"ip:{addresses.group(ip)}", self._per_ip)
            self._screen.check(scope, headers, runtime.authenticator.tenants.hosts)
            if has_body(headers):
                receive = TimelyBody(receive, self._body_timeout)
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers and answer.origin:
                await answer.preflight(answer.origin)
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

    async def _dispatch(self, generation: Generation, scope: Any, receive: Receive, answer: Answer) -> None:
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
