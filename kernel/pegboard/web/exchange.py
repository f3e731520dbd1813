"""One request: who asks, under which id, and the unit of work around its handler."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Request
from litestar.response import Response
from litestar.types import Scope
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError
from pegboard_sdk.http import JsonBytes, Route, Stream

from pegboard.isolation.breaker import CALLED, Breaker
from pegboard.plugins.generation import Generation
from pegboard.runtime import Runtime
from pegboard.web.idempotency import IdempotencyKey, IdempotencyKeyMissing
from pegboard.web.problems import PROBLEM_JSON, OutcomeUnknown, encode_problem
from pegboard.web.quotas import Quota
from pegboard.web.streams import StreamAnswer
from pegboard.work import KERNEL, ReadWork, SteppedWork, transact

__all__ = ("Exchange",)

MAX_TRIES = 4
LEASE_MARGIN = 30.0
NOT_STORED = frozenset({409, 429})
_encoder = msgspec.json.Encoder()
log = structlog.get_logger("pegboard.web")


class Exchange:
    """The kernel's side of one request (`pegboard_sdk.http.Exchange`)."""

    __slots__ = (
        "breaker", "by_cookie", "closing", "head", "headers", "ip", "limit", "plugin", "principal", "problem",
        "rate", "registry", "request_id", "route", "runtime", "scope", "ticket", "trace", "tries", "uncertain",
    )  # fmt: skip

    def __init__(
        self,
        runtime: Runtime,
        generation: Generation[Any],
        scope: Scope,
        headers: dict[bytes, bytes],
        request_id: str,
        ip: str,
    ) -> None:
        self.runtime = runtime
        self.registry = generation.registry
        self.closing = generation.closing
        self.scope = scope
        self.head = scope.get("method") == "HEAD"
        self.headers = headers
        self.request_id = request_id
        self.ip = ip
        self.limit: asyncio.Timeout | None = None
        self.plugin = "kernel"
        self.by_cookie = False
        self.breaker: Breaker | None = None
        self.ticket = CALLED
        self.principal: Principal | None = None
        self.route: Route | None = None
        self.problem: DomainError | None = None
        self.rate: Quota | None = None
        self.tries = 0
        self.trace = ""
        self.uncertain = False

    @property
    def known_principal(self) -> Principal:
        """The principal, set before the handler is reached."""
        if self.principal is None:
            raise RuntimeError("the request was not authorized")
        return self.principal

    async def run(self, route: Route, call: Callable[[Any], Awaitable[Any]]) -> Response[Any]:
        """Make the unit of work, run `call` with it, and give the encoded answer.

        A write is committed before this returns, so nothing is sent that a failing COMMIT would take back.
        """
        if route.external:
            return await self._run_external(route, call)
        if route.safe:
            work = ReadWork(self.runtime, self.registry, self.known_principal, self.request_id, plugin=self.plugin)
            try:
                return self._encoded(route, await call(work))
            finally:
                await work.release()
        return await self._run_write(route, call)

    async def _run_write(self, route: Route, call: Callable[[Any], Awaitable[Any]]) -> Response[Any]:
        key = await self._idempotency_key(route)
        while True:
            self.tries += 1
            try:
                async with transact(
                    self.runtime,
                    self.registry,
                    self.known_principal,
                    self.request_id,
                    isolation=route.isolation,
                    committing=self._committing,
                    plugin=self.plugin,
                ) as work:
                    if key is not None and (replay := await key.begin(work.acting_as(KERNEL))) is not None:
                        return replay
                    response = self._encoded(route, await call(work))
                    if key is not None and not isinstance(response, Stream):
                        await key.store(work.acting_as(KERNEL), response)
                return response
            except asyncpg.PostgresError as error:
                if not isinstance(error, asyncpg.PostgresConnectionError):
                    self.uncertain = False  # the server answered: nothing was committed
                if not isinstance(error, asyncpg.SerializationError | asyncpg.DeadlockDetectedError):
                    raise
                if self.tries >= MAX_TRIES:
                    raise
                log.info("transaction.retried", tries=self.tries, cause=error.sqlstate, request_id=self.request_id)
                await asyncio.sleep(random.uniform(0, 0.01 * 2**self.tries))  # noqa: S311  # jitter, not a secret

    async def _run_external(self, route: Route, call: Callable[[Any], Awaitable[Any]]) -> Response[Any]:
        work = SteppedWork(
            self.runtime,
            self.registry,
            self.known_principal,
            self.request_id,
            route.isolation,
            committing=self._committing,
            plugin=self.plugin,
        )
        key = await self._idempotency_key(route)
        if key is None:
            return self._encoded(route, await call(work))
        kernel = work.acting_as(KERNEL)
        async with kernel.step() as step:
            lease = (route.timeout or self.runtime.config.http.request_timeout) + LEASE_MARGIN
            replay = await key.reserve(step, lease)
        self.uncertain = False  # so far the key is all there is
        if replay is not None:
            return replay
        try:
            response = self._encoded(route, await call(work))
        except BaseException as error:
            await self._settle_failure(kernel, key, error)
            raise
        if not isinstance(response, Stream):
            async with kernel.step(settles=True) as step:
                await key.settle(step, response)
        return response

    async def _settle_failure(self, work: SteppedWork, key: IdempotencyKey, error: BaseException) -> None:
        """A refusal is the request's answer and is kept; after an ordered failure, or a 409 or 429, the key is free for
        another try. After anything else (a time-out, a broken connection) it is not known what was done: the lease
        keeps the key until it runs out.
        """
        if not isinstance(error, DomainError):
            return
        answer: Response[Any] | None = None
        if error.status < 500 and error.status not in NOT_STORED:
            answer = Response(
                encode_problem(error, self.request_id),
                status_code=error.status,
                media_type=PROBLEM_JSON,
                headers=error.headers,
            )
        try:
            async with asyncio.timeout(5), work.step(settles=True) as step:
                await key.settle(step, answer)
        except (DomainError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as failure:
            # The lease runs out by itself; what the caller must hear is the first error.
            log.warning("idempotency.not_settled", error=repr(failure), request_id=self.request_id)

    def _committing(self) -> None:
        self.uncertain = True

    def told(self, error: DomainError) -> DomainError:
        """What the caller is told of `error`: after a commit, an outage may not claim that nothing happened."""
        if self.uncertain and error.code in ("unavailable", "timeout", "internal_error"):
            error = OutcomeUnknown()
        self.problem = error
        return error

    def judge(self, error: BaseException) -> None:
        """Tell the plugin's breaker of the error that ended the request. Only the first word counts."""
        breaker, self.breaker = self.breaker, None
        if breaker is not None:
            timed_out = self.limit is not None and self.limit.expired()
            self.runtime.breakers.judge(error, self.plugin, breaker, self.ticket, timed_out=timed_out)

    def stream_began(self) -> None:
        """Its first piece is there: as far as the breaker goes, the request has succeeded."""
        breaker, self.breaker = self.breaker, None
        if breaker is not None:
            breaker.succeeded(self.ticket)

    def stream_broke(self, error: Exception) -> None:
        """Its iterator failed amid the answer: that counts by itself."""
        self.runtime.breakers.judge(error, self.plugin, None, CALLED)

    async def note_outcome(self) -> None:
        """Put it on record when somebody who is logged in was refused, or their write failed. Call it once they were
        answered: it must not change what they are told.
        """
        problem, principal, route = self.problem, self.principal, self.route
        if problem is None or principal is None or route is None or principal.kind != "account":
            return
        if problem.status != 403 and (problem.status < 500 or route.safe):
            return
        method, path = self.scope.get("method"), self.scope["path"]
        lacks = route.permission is not None and not principal.may(route.permission)
        await self.runtime.refusals.note(
            principal,
            route.permission or f"{method} {self.scope.get('path_template', path)}",
            f"lacks {route.permission}" if lacks else problem.code,
            self.request_id,
            outcome="refused" if problem.status == 403 else "failed",
            object_type="request",
            object_id=f"{method} {path}"[:300],
        )

    async def _idempotency_key(self, route: Route) -> IdempotencyKey | None:
        if route.idempotency == "none":
            return None
        value = self.headers.get(b"idempotency-key")
        if value is None:
            if route.idempotency == "required":
                raise IdempotencyKeyMissing(
                    "This moves money: send an Idempotency-Key header (a fresh UUID), and the same one when you"
                    " repeat the request."
                )
            return None
        principal = self.known_principal
        return IdempotencyKey(
            value,
            principal=str(principal.account_id or f"{principal.kind} {self.ip}"),
            method=str(self.scope.get("method")),
            path=f"{self.scope['path']}?{self.scope['query_string'].decode('latin-1')}",
            body=await Request[Any, Any, Any](self.scope).body(),
            vault=self.runtime.vault,
        )

    def _encoded(self, route: Route, result: Any) -> Response[Any]:
        """The answer with its body as bytes, so that nothing can fail after the commit."""
        if isinstance(result, Stream):
            return StreamAnswer(
                result,
                closing=self.closing,
                request_id=self.request_id,
                head=self.head,
                began=self.stream_began,
                broke=self.stream_broke,
            )
        if isinstance(result, Response):
            if not isinstance(result.content, bytes):
                result.content = b"" if result.content is None else _encode(result.content)
                result.media_type = result.media_type or "application/json"
            return result
        if result is None and route.status == 204:
            return Response(b"", status_code=204)
        return JsonBytes(_encoder.encode(result), status_code=route.status)


def _encode(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else _encoder.encode(content)
