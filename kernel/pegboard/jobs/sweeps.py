"""The sweep: sends again what Redis lost, takes over what a dead worker held, revives what was parked, and deletes what
is old.
"""

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import redis
import redis.asyncio
import structlog

from pegboard.background import worth_telling
from pegboard.database.pool import DATABASE_ERRORS
from pegboard.jobs.broker import NAMESPACE, QUEUE
from pegboard.jobs.catalog import Catalogs
from pegboard.jobs.leadership import Leadership

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("Sweeper", "delete_old", "requeue_lost", "rescue_stuck", "revive_parked")

BATCH = 500
MARKER = "pegboard:jobs:marker"
RETENTION_INTERVAL = 60.0
PATIENCE = 10
"""A sent job is taken for lost after so many times `rescue_after`, even while messages wait in Redis."""

log = structlog.get_logger("pegboard.jobs")

_REQUEUE_LOST = """
UPDATE kernel_jobs AS job SET state = 'queued', updated_at = now()
 WHERE job.id = ANY(ARRAY(
           SELECT id FROM kernel_jobs WHERE state = 'sent' AND sent_at <= now() - make_interval(secs => $1)
           ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

# Jobs that a worker died with come back apart from each other: whichever of them killed it meets others next time, so
# it alone runs out of attempts. The first time is at once: most workers die of something else.
_RESCUE_STUCK = """
WITH stuck AS (
    SELECT id, worker FROM kernel_jobs WHERE state = 'running' AND heartbeat_at < now() - make_interval(secs => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE kernel_jobs AS job
   SET state = CASE WHEN job.attempts < job.max_attempts THEN 'queued' ELSE 'dead' END,
       finished_at = CASE WHEN job.attempts < job.max_attempts THEN NULL ELSE now() END,
       error = format('the worker %s stopped beating', stuck.worker),
       run_at = now() + make_interval(secs => random() * (2 ^ least(job.attempts - 1, 6) - 1)),
       worker = NULL, heartbeat_at = NULL, updated_at = now()
  FROM stuck
 WHERE job.id = stuck.id AND job.id = ANY(ARRAY(SELECT id FROM stuck))
RETURNING job.id, job.name, job.state, stuck.worker
"""

_REVIVE_PARKED = """
UPDATE kernel_jobs AS job SET state = 'queued', updated_at = now()
 WHERE job.id = ANY(ARRAY(
           SELECT id FROM kernel_jobs WHERE state = 'parked' AND name = ANY($1)
           AND tenant_id <> ALL(ARRAY(SELECT id FROM kernel_tenants WHERE status = 'suspended'))
           LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

_DELETE_JOBS = """
DELETE FROM kernel_jobs WHERE id = ANY(ARRAY(
    SELECT id FROM kernel_jobs WHERE id < $1 AND state = 'succeeded' AND finished_at < now() - make_interval(secs => $2)
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
))
"""

_DELETE_EVENTS = """
DELETE FROM kernel_events WHERE id = ANY(ARRAY(
    SELECT id FROM kernel_events WHERE id < $1 AND relayed_at < now() - make_interval(secs => $2)
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
))
"""

_LAG = """
SELECT coalesce(extract(epoch FROM now() - least(
    (SELECT created_at FROM kernel_events WHERE relayed_at IS NULL ORDER BY id LIMIT 1),
    (SELECT run_at FROM kernel_jobs WHERE state = 'queued' AND run_at <= now() ORDER BY run_at LIMIT 1)
)), 0)::float8
"""


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


async def requeue_lost(pool: asyncpg.Pool, older_than: float) -> int:
    """Queue jobs again that were sent at least `older_than` seconds ago and that nobody claimed. Gives how many."""
    total = 0
    while True:
        moved = _count(await pool.execute(_REQUEUE_LOST, older_than, BATCH))
        total += moved
        if moved < BATCH:
            return total


async def rescue_stuck(pool: asyncpg.Pool, older_than: float) -> list[asyncpg.Record]:
    """Take jobs from workers that have not beaten for `older_than` seconds: queued again, or dead after the last try.

    Gives their id, name, new state and former worker.
    """
    return await pool.fetch(_RESCUE_STUCK, older_than, BATCH)


async def revive_parked(pool: asyncpg.Pool, names: list[str]) -> int:
    """Queue parked jobs again that can run now. Gives how many."""
    return _count(await pool.execute(_REVIVE_PARKED, names, BATCH))


async def delete_old(pool: asyncpg.Pool, age: float) -> int:
    """Delete a batch of jobs that succeeded, and of events relayed, more than `age` seconds ago. Gives how many.

    Dead letters stay: an administrator decides about them. Rows are found along the primary key, whose first bits are
    the time of their making.
    """
    made_before = UUID(int=max(0, int((time.time() - age) * 1000)) << 80)
    jobs = _count(await pool.execute(_DELETE_JOBS, made_before, age, BATCH))
    events = _count(await pool.execute(_DELETE_EVENTS, made_before, age, BATCH))
    return jobs + events


class Sweeper:
    """Runs in each worker and scheduler; the one that holds the lease sweeps."""

    def __init__(self, runtime: "Runtime", pool: asyncpg.Pool, catalogs: Catalogs, *, holder: str) -> None:
        self._runtime = runtime
        self._pool = pool
        self._catalogs = catalogs
        self._retention = runtime.config.jobs.retention_days * 86_400.0
        self._rescue_after = runtime.config.jobs.rescue_after
        self._leadership = Leadership(pool, "jobs.sweep", holder, ttl=self._rescue_after / 2)
        self._retain_at = 0.0

    async def run(self) -> None:
        """Sweep until cancelled, every poll interval."""
        failures = 0
        try:
            while True:
                try:
                    if await self._leadership.held():
                        await self.sweep()
                    failures = 0
                except (*DATABASE_ERRORS, redis.RedisError) as error:
                    failures += 1
                    if worth_telling(failures):
                        log.warning("sweep.failed", error=repr(error), failures=failures)
                await asyncio.sleep(self._runtime.config.jobs.poll_interval)
        finally:
            await self._leadership.resign()

    async def sweep(self) -> None:
        """Everything once."""
        for row in await rescue_stuck(self._pool, self._rescue_after):
            log.warning("job.rescued", job=row["name"], job_id=str(row["id"]), state=row["state"], worker=row["worker"])
        if revived := await revive_parked(self._pool, self._catalogs.current.names):
            log.info("jobs.revived", count=revived)
        if time.monotonic() >= self._retain_at and await delete_old(self._pool, self._retention) < BATCH:
            self._retain_at = time.monotonic() + RETENTION_INTERVAL
        self._runtime.metrics.outbox_lag.set(await self._pool.fetchval(_LAG))
        await self._send_again()

    async def _send_again(self) -> None:
        """Where the marker is gone, Redis was emptied: all that was sent is lost. Else what was sent long ago is."""
        client = self._runtime.redis
        if await client.set(MARKER, "1", nx=True):
            lost = await requeue_lost(self._pool, 0.0)
        else:
            waiting = await client.llen(f"{NAMESPACE}:{QUEUE}")
            lost = await requeue_lost(self._pool, self._rescue_after * (PATIENCE if waiting else 1))
        if lost:
            log.warning("jobs.sent_again", count=lost)
