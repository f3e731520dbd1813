"""The relay: events become jobs, one per handler, and jobs that are due become messages in Redis.

Any number of relays may run: SKIP LOCKED shares the rows out between them. A row is marked before its message is sent:
a relay that dies in between leaves a job that the sweep sends again.
"""

import asyncio
import contextlib

import asyncpg
import redis
import structlog
from asyncpg.pool import PoolConnectionProxy
from dramatiq.brokers.redis import RedisBroker

from pegboard.background import worth_telling
from pegboard.database.pool import DATABASE_ERRORS, Database
from pegboard.jobs.broker import QUEUE, Token, messages
from pegboard.jobs.catalog import Catalog, Catalogs
from pegboard.jobs.notifier import CHANNEL
from pegboard.plugins.listener import Listener

__all__ = ("Relay", "relay_events", "take_due", "untake")

BATCH = 512
WINDOW = 256
"""How many messages may wait in Redis before the relay pauses."""
CROWDED = 0.05

Connections = asyncpg.Pool | PoolConnectionProxy
log = structlog.get_logger("pegboard.jobs")

# In all statements of the queue the rows to change are named by `id = ANY(…)`, which is an index condition whatever the
# planner believes. A join on the id is not: told that the table is next to empty, as statistics from a quiet moment say
# of a bloated one, it walks the whole index (60 times the pages of the table, measured with 30,000 finished jobs).

# One statement, so one round trip: the events' rows are locked, fanned out and marked. A delivery's id is a UUIDv7 of
# the event's time. The unique index on (event_id, name, tenant_id) makes a second attempt harmless.
_RELAY_EVENTS = """
WITH batch AS (
    SELECT id, tenant_id, name, payload, trace, request_id FROM kernel_events
    WHERE relayed_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
), deliveries AS (
    INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, event_id, max_attempts, trace, request_id)
    SELECT (substr(batch.id::text, 1, 15) || substr(gen_random_uuid()::text, 16))::uuid,
           batch.tenant_id, fan.plugin, fan.name, batch.payload, batch.id, fan.max_attempts,
           batch.trace, batch.request_id
    FROM batch JOIN unnest($2::text[], $3::text[], $4::text[], $5::int[]) AS fan (event, name, plugin, max_attempts)
      ON fan.event = batch.name
    ON CONFLICT (event_id, name, tenant_id) WHERE event_id IS NOT NULL DO NOTHING
), relayed AS (
    UPDATE kernel_events SET relayed_at = now() WHERE id = ANY(ARRAY(SELECT id FROM batch))
)
SELECT count(*) FROM batch
"""

_TAKE_DUE = """
UPDATE kernel_jobs AS job
   SET state = CASE WHEN job.name = ANY($2) AND job.tenant_id <> ALL(ARRAY(
           SELECT id FROM kernel_tenants WHERE status = 'suspended'
       )) THEN 'sent' ELSE 'parked' END,
       run_at = least(job.run_at, now()), sent_at = now(), updated_at = now()
 WHERE job.id = ANY(ARRAY(
           SELECT id FROM kernel_jobs WHERE state = 'queued' AND run_at <= now() + make_interval(secs => $3)
           ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING job.id, job.fence, job.state = 'sent' AS sent, job.name, job.run_at
"""

_UNTAKE = """
UPDATE kernel_jobs AS job SET state = 'queued', updated_at = now()
  FROM unnest($1::uuid[], $2::bigint[]) AS token (id, fence)
 WHERE job.id = token.id AND job.id = ANY($1) AND job.fence = token.fence AND job.state = 'sent'
"""


async def relay_events(pool: Connections, catalog: Catalog) -> int:
    """Make jobs of a batch of events. Gives how many events there were."""
    fan = catalog.fan
    return await pool.fetchval(_RELAY_EVENTS, BATCH, fan.events, fan.names, fan.plugins, fan.max_attempts)


async def take_due(pool: Connections, catalog: Catalog, *, ahead: float = 0.0) -> tuple[int, list[Token]]:
    """Mark a batch of due jobs as sent, and park those that nothing can run and those of suspended tenants. Gives their
    number and the tokens to send.

    `ahead`: also jobs that are due within so many seconds.
    """
    rows = await pool.fetch(_TAKE_DUE, BATCH, catalog.names, ahead)
    parked = sorted({row["name"] for row in rows if not row["sent"]})
    if parked:
        log.warning("jobs.parked", jobs=parked, reason="no enabled plugin has them, or their tenant is suspended")
    rows.sort(key=lambda row: row["run_at"])
    return len(rows), [(row["id"], row["fence"]) for row in rows if row["sent"]]


async def untake(pool: asyncpg.Pool, due: list[Token]) -> None:
    """Queue jobs again whose messages were not sent or not taken up."""
    await pool.execute(_UNTAKE, [job for job, _ in due], [fence for _, fence in due])


class Relay:
    """One per worker process. `poll_interval` in seconds is how long a row waits whose notification was lost."""

    def __init__(
        self, database: Database, pool: asyncpg.Pool, broker: RedisBroker, catalogs: Catalogs, *, poll_interval: float
    ) -> None:
        self._catalogs = catalogs
        self._pool = pool
        self._broker = broker
        self._poll_interval = poll_interval
        self._waiting = 0
        self._woken = asyncio.Event()
        self._listener = Listener(database, CHANNEL, self._woken)

    async def run(self) -> None:
        """Relay until cancelled. While PostgreSQL or Redis is away it tries again with back-off, and loses nothing."""
        failures = 0
        try:
            while True:
                try:
                    await self._listener.ensure()
                    self._woken.clear()
                    pause = await self.relay_once()
                    failures = 0
                except (*DATABASE_ERRORS, redis.RedisError) as error:
                    failures += 1
                    if worth_telling(failures):
                        log.warning("relay.failed", error=repr(error), failures=failures)
                    await asyncio.sleep(min(5.0, 0.1 * 2 ** min(failures, 6)))
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
        finally:
            await self._listener.close()

    async def relay_once(self) -> float:
        """One batch of events and one of jobs. Gives how many seconds the relay may rest.

        Raises:
            redis.RedisError: Redis can't take the messages; their jobs are queued again.
        """
        catalog = self._catalogs.current
        events = await relay_events(self._pool, catalog)
        if self._waiting >= WINDOW:
            self._waiting = await asyncio.to_thread(self._broker.do_qsize, QUEUE)
            if self._waiting >= WINDOW:
                return CROWDED
        taken, due = await take_due(self._pool, catalog)
        if due:
            try:
                self._waiting = await asyncio.to_thread(self._send, due)
            except redis.RedisError:
                await untake(self._pool, due)
                raise
        return 0.0 if BATCH in (events, taken) else self._poll_interval

    def _send(self, due: list[Token]) -> int:
        for message in messages(due):
            self._broker.enqueue(message)
        return self._broker.do_qsize(QUEUE)
