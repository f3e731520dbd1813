"""`pegboard_sdk.outbound.Outbound`: calls out, within the manifest, bounded, and on record."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.outbound import (
    MAX_BYTES,
    Outbound,
    OutboundFailed,
    OutboundRefused,
    OutboundResponse,
    OutboundTimeout,
    OutboundTooLarge,
)

from pegboard.capabilities.hosts import Destination, HostRule, destination_of
from pegboard.capabilities.trail import Use
from pegboard.telemetry.tracing import current_traceparent
from pegboard.vault.reader import find_secret

if TYPE_CHECKING:
    import httpx

    from pegboard.work import SteppedWork

__all__ = ("OutboundHandle",)

_USER_AGENT = "Pegboard"
log = structlog.get_logger("pegboard.outbound")


class OutboundHandle(Outbound):
    """Of one stepped unit of work, for the plugin that acts."""

    __slots__ = ("_work",)

    def __init__(self, work: "SteppedWork") -> None:
        self._work = work

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        json: Any = None,
        timeout: float = 30.0,  # noqa: ASYNC109  # the SDK's
        max_bytes: int = MAX_BYTES,
    ) -> OutboundResponse:
        async with _patience(timeout), self._call(method, url, headers, body, json, max_bytes) as answer:
            pieces = [piece async for piece in answer.pieces()]
            return OutboundResponse(status=answer.status, headers=answer.headers, body=b"".join(pieces))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        json: Any = None,
        timeout: float = 30.0,  # noqa: ASYNC109  # the SDK's
        max_bytes: int = MAX_BYTES,
    ) -> AsyncIterator["_Answer"]:
        async with self._call(method, url, headers, body, json, max_bytes, each=timeout) as answer:
            yield answer

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: bytes,
        json: Any,
        max_bytes: int,
        *,
        each: float | None = None,
    ) -> AsyncIterator["_Answer"]:
        import httpx

        work = self._work
        if work.is_stepping:
            raise RuntimeError("no call out inside a transaction: let the step end first, then call, then settle")
        method = method.upper()
        where = destination_of(url)
        await self._check(method, where)
        if json is not None:
            body = msgspec.json.encode(json)
        # No compression: what is bounded is what comes over the wire, and a bomb has to be as large as it is.
        sent = {"user-agent": _USER_AGENT, "accept-encoding": "identity"}
        if json is not None:
            sent["content-type"] = "application/json"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        if (trace := current_traceparent()) is not None:
            sent["traceparent"] = trace
        encoded = {name.encode(): value.encode() for name, value in sent.items()}
        client = await work.runtime.http.get(work.plugin)
        began, status, refused = time.perf_counter(), 0, False
        try:
            self._check_port(where)
            async with _patience(each):
                request = client.build_request(method, where.url, headers=encoded, content=body)
                response = await client.send(request, stream=True)
            try:
                status = response.status_code
                yield _Answer(response, max_bytes, each)
            finally:
                await response.aclose()
        except OutboundRefused:
            refused = True
            log.warning(
                "outbound.refused",
                plugin=work.plugin,
                address=where.shown,
                request_id=work.request_id,
                hint=f"to allow it, name the host in [pegboard.outbound] private_hosts for {work.plugin}",
            )
            raise
        except httpx.TimeoutException as error:
            raise OutboundTimeout("The other program did not answer in time. Try again in a moment.") from error
        except httpx.HTTPError as error:
            raise OutboundFailed("The other program can't be reached, or broke off. Try again in a moment.") from error
        finally:
            self._record(method, where, status, time.perf_counter() - began, refused=refused)

    async def _check(self, method: str, where: Destination) -> None:
        grant = self._work.grant
        if grant is None or grant.allows(where):
            return
        for name in grant.secret_hosts:
            secret = await find_secret(self._work.runtime, self._work.tenant_id, name)
            rule = None if secret is None else HostRule.of_url(secret.reveal())
            if rule is not None and rule.allows(where):
                return
        denied: CapabilityDenied = grant.denied_host(where)
        self._work.runtime.metrics.observe_outbound(self._work.plugin, "refused", 0.0)
        raise self._work.refused(denied, f"{method} {where.shown}")

    def _check_port(self, where: Destination) -> None:
        grant = self._work.grant
        if grant is None or grant.names_port(where):
            return
        if not self._work.runtime.http.reach(self._work.plugin).allows_port(where.host, where.port):
            raise OutboundRefused

    def _record(self, method: str, where: Destination, status: int, seconds: float, *, refused: bool) -> None:
        work = self._work
        outcome = "refused" if refused else f"{status // 100}xx" if status else "failed"
        work.runtime.metrics.observe_outbound(work.plugin, outcome, seconds)
        work.runtime.trail.note(
            Use(
                principal=work.principal,
                request_id=work.request_id,
                action="kernel:outbound.call",
                object_type="address",
                object_id=f"{method} {where.shown}"[:300],
                detail={"plugin": work.plugin, "status": status or None, "ms": round(seconds * 1000, 1)},
                outcome="success" if status else "refused" if refused else "failed",
                reason=None if status else "a private address or an unusual port" if refused else "no answer",
            ),
            counted=False,
        )


class _Answer:
    """`OutboundStream` over httpx."""

    __slots__ = ("_each", "_max_bytes", "_response", "headers", "status")

    def __init__(self, response: "httpx.Response", max_bytes: int, each: float | None) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self._each = each
        self.status = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)

    async def pieces(self) -> AsyncGenerator[bytes]:
        import httpx

        size = 0
        try:
            async with aclosing(self._response.aiter_bytes()) as pieces:  # type: ignore[type-var]  # it is a generator
                while True:
                    async with _patience(self._each):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    size += len(piece)
                    if size > self._max_bytes:
                        raise OutboundTooLarge(f"The other program's answer has more than {self._max_bytes} bytes.")
                    yield piece
        except httpx.HTTPError as error:
            raise OutboundFailed("The other program broke off amid its answer. Try again in a moment.") from error


@asynccontextmanager
async def _patience(seconds: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise OutboundTimeout("The other program took too long. Try again in a moment.") from error
