"""Running one claimed job: in a transaction of its tenant, together with its completion."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import msgspec
import structlog
from opentelemetry.trace import SpanKind
from pegboard_sdk.access import Principal

from pegboard.isolation.breaker import CALLED, REFUSED, Breaker
from pegboard.isolation.breakers import Breakers
from pegboard.jobs.catalog import Catalog, Catalogs, Runnable
from pegboard.jobs.lease import LEASE_LOST, Claimed, fail, park, postpone, retry_delay
from pegboard.plugins.registry import Registry
from pegboard.work import SteppedWork, Work

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("Executor", "Outcome")

Outcome = Literal["succeeded", "retried", "dead", "parked", "held", "lost"]
CONFLICT_ATTEMPTS = 3
HELD_FOR = 5.0
"""Seconds until a job that maintenance holds is looked at again."""
_LEVELS: dict[Outcome, str] = {"succeeded": "info", "dead": "error", "held": "debug"}
log = structlog.get_logger("pegboard.jobs")


class _Timeout(Exception):
    pass


class _LeasedSteppedWork(SteppedWork):
    """Steps that commit only while the job is ours."""

    __slots__ = ("_job",)

    def __init__(
        self, runtime: "Runtime", registry: Registry, principal: Principal, request_id: str, job: Claimed, plugin: str
    ) -> None:
        super().__init__(runtime, registry, principal, request_id, plugin=plugin)
        self._job = job

    @asynccontextmanager
    async def step(self, *, settles: bool = False) -> AsyncIterator[Work]:
        async with super().step(settles=settles) as work:
            await work.connection.execute("SELECT kernel_hold_job($1, $2)", *self._job.token)
            yield work


class Executor:
    """Runs claimed jobs. `pool` is the relaxed one: failures and parkings are written through it.

    Jobs of a plugin whose breaker is open are given back; without `breakers` all are run.
    """

    def __init__(
        self, runtime: "Runtime", pool: asyncpg.Pool, catalogs: Catalogs, *, breakers: Breakers | None
    ) -> None:
        self._runtime = runtime
        self._pool = pool
        self._catalogs = catalogs
        self._breakers = breakers

    async def run(self, job: Claimed) -> Outcome:
        """Run `job` to an outcome, which is on its row when this returns.

        Raises:
            CancelledError: the job was stopped; its transaction is rolled back, and its row is the caller's business.
        """
        structlog.contextvars.bind_contextvars(
            job_id=str(job.id), request_id=job.request_id, tenant_id=str(job.tenant_id), plugin=job.plugin
        )
        with self._catalogs.held() as catalog:
            return await self._run(job, catalog)

    async def _run(self, job: Claimed, catalog: Catalog) -> Outcome:
        began = time.perf_counter()
        runnable = catalog.get(job.name)
        if runnable is None:
            await park(self._pool, job.token)
            return self._report(job, "parked", began, reason="no enabled plugin has it")
        if self._runtime.maintenance.now.holds_jobs:
            delay = random.uniform(HELD_FOR, 2 * HELD_FOR)  # noqa: S311  # spreads load; guards nothing
            await postpone(self._pool, job.token, delay)
            return self._report(job, "held", began, again_in=round(delay, 1))
        breaker = self._breakers.get(runnable.plugin) if self._breakers is not None else None
        ticket = CALLED if breaker is None else breaker.admit()
        if breaker is not None and ticket == REFUSED:
            # Spread over as long as the pause was, so that they don't all come back at once.
            delay = breaker.retry_in + random.uniform(0, breaker.open_for)  # noqa: S311  # spreads load; guards nothing
            await postpone(self._pool, job.token, delay)
            return self._report(job, "held", began, again_in=round(delay, 1))
        try:
            with self._span(job):
                await self._attempt(job, runnable, catalog.registry)
        except asyncio.CancelledError:
            if breaker is not None:
                breaker.undecided(ticket)
            raise
        except Exception as error:  # noqa: BLE001  # whatever a job raises is that job's failure
            self._judge(error, runnable.plugin, breaker, ticket)
            if getattr(error, "sqlstate", None) == LEASE_LOST:
                return self._report(job, "lost", began, reason="its lease was taken over")
            return await self._failed(job, error, began)
        if breaker is not None:
            breaker.succeeded(ticket)
        return self._report(job, "succeeded", began)

    def _judge(self, error: Exception, plugin: str, breaker: Breaker | None, ticket: int) -> None:
        if self._breakers is not None:
            self._breakers.judge(error, plugin, breaker, ticket, timed_out=isinstance(error, _Timeout))

    async def _attempt(self, job: Claimed, runnable: Runnable, registry: Registry) -> None:
        """Once, or again at once where the database found transactions in conflict."""
        tries = 1 if runnable.external else CONFLICT_ATTEMPTS
        while True:
            tries -= 1
            limit = asyncio.timeout(runnable.timeout)
            try:
                async with limit:
                    work = await (self._call_out if runnable.external else self._transact)(job, runnable, registry)
                break
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                if not tries:
                    raise
            except TimeoutError as error:
                if limit.expired():
                    raise _Timeout(f"it took longer than {runnable.timeout:g} s") from error
                raise
        try:
            # Done whatever happens here; only, it must not hold its slot for ever.
            async with asyncio.timeout(runnable.timeout):
                await work.committed()
        except TimeoutError:
            log.warning("after_commit.timed_out", job=job.name)

    async def _transact(self, job: Claimed, runnable: Runnable, registry: Registry) -> Work:
        closing: list[str] = []
        work: Work | None = None
        try:
            async with self._runtime.database.transaction(job.tenant_id, closing=closing) as connection:
                work = Work(
                    connection, self._runtime, registry, _principal(job), _request_id(job), plugin=runnable.plugin
                )
                try:
                    result = await runnable.run(work, msgspec.json.decode(job.payload, type=runnable.payload))
                    await work.record_uses()
                finally:
                    work.ended()
                await self._complete(connection, job, result, closing)
        except BaseException:  # a cancellation too: what was used before it stays on record. It goes on from here
            if work is not None:
                work.note_uses()
            raise
        return work

    async def _call_out(self, job: Claimed, runnable: Runnable, registry: Registry) -> Work:
        stepped = _LeasedSteppedWork(self._runtime, registry, _principal(job), _request_id(job), job, runnable.plugin)
        result = await runnable.run(stepped, msgspec.json.decode(job.payload, type=runnable.payload))
        closing: list[str] = []
        async with self._runtime.database.transaction(job.tenant_id, closing=closing) as connection:
            work = Work(connection, self._runtime, registry, _principal(job), _request_id(job))
            await self._complete(connection, job, result, closing)
        return work

    @staticmethod
    async def _complete(connection: Any, job: Claimed, result: Any, closing: list[str]) -> None:
        """The completion travels with COMMIT, in one round trip: its arguments are a UUID and an integer of ours."""
        if result is None:
            closing.append(f"SELECT kernel_complete_job('{job.id}', {job.fence})")
        else:
            encoded = msgspec.json.encode(result).decode()
            await connection.execute("SELECT kernel_complete_job($1, $2, $3)", *job.token, encoded)

    async def _failed(self, job: Claimed, error: Exception, began: float) -> Outcome:
        told = str(error) if isinstance(error, _Timeout) else f"{type(error).__name__}: {error}"
        delay = retry_delay(job.attempts)
        state = await fail(self._pool, job.token, told, delay)
        if state is None:
            return self._report(job, "lost", began, error=told)
        if state == "dead":
            return self._report(job, "dead", began, error=told, exc_info=error)
        return self._report(job, "retried", began, error=told, exc_info=error, retry_in=round(delay, 1))

    def _span(self, job: Claimed) -> Any:
        tracing = self._runtime.tracing
        if not tracing.on:
            return nullcontext()
        return tracing.span(
            f"job {job.name}",
            kind=SpanKind.CONSUMER,
            carrier={"traceparent": job.trace} if job.trace else {},
            attributes={
                "pegboard.plugin": job.plugin,
                "pegboard.tenant_id": str(job.tenant_id),
                "messaging.message.id": str(job.id),
                "pegboard.job.attempt": job.attempts,
            },
        )

    def _report(self, job: Claimed, outcome: Outcome, began: float, **fields: Any) -> Outcome:
        seconds = time.perf_counter() - began
        self._runtime.metrics.observe_job(job.plugin, job.name, outcome, seconds)
        write = getattr(log, _LEVELS.get(outcome, "warning"))
        write(f"job.{outcome}", job=job.name, attempt=job.attempts, ms=round(seconds * 1000, 1), **fields)
        return outcome


def _principal(job: Claimed) -> Principal:
    return Principal(kind="system", tenant_id=job.tenant_id)


def _request_id(job: Claimed) -> str:
    return job.request_id or job.id.hex
