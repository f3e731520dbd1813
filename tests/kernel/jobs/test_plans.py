"""What a job costs doesn't grow with the table: every statement on its way reads a few pages of a large one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from pegboard.jobs import lease, relay, sweeps
from pegboard_sdk import Job, UnitOfWork, new_id

from tests.kernel.jobs.lab import Lab, Ping

MANY = 30_000


async def nothing(_: UnitOfWork, __: Ping) -> None:
    return None


PING = Job(name="probe.ping", payload=Ping, run=nothing)


@pytest.fixture
async def large(lab: Lab, home: UUID) -> AsyncIterator[Lab]:
    """A table of many finished jobs and events, and statistics from when it was bloated and empty: the worst that the
    planner can be told.
    """
    lab.install(PING)
    await _fill(lab, home)
    await lab.pool.execute("DELETE FROM kernel_jobs")
    await lab.pool.execute("DELETE FROM kernel_events")
    async with owner(lab) as connection:
        await connection.execute("ANALYZE kernel_jobs, kernel_events")
    await _fill(lab, home)
    yield lab
    async with owner(lab) as connection:
        await connection.execute("TRUNCATE kernel_jobs, kernel_events")
        await connection.execute("ANALYZE kernel_jobs, kernel_events")


@asynccontextmanager
async def owner(lab: Lab) -> AsyncIterator[asyncpg.Connection]:
    connection: asyncpg.Connection = await asyncpg.connect(lab.runtime.config.database.url.reveal())
    try:
        yield connection
    finally:
        await connection.close()


async def _fill(lab: Lab, home: UUID) -> None:
    await lab.pool.execute(
        "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, state, finished_at)"
        " SELECT gen_random_uuid(), $1, 'probe', 'probe.ping', '{}', 8, 'succeeded', now() FROM generate_series(1, $2)",
        home,
        MANY,
    )
    await lab.pool.execute(
        "INSERT INTO kernel_events (id, tenant_id, name, version, payload, relayed_at)"
        " SELECT gen_random_uuid(), $1, 'probe.pinged', 1, '{}', now() FROM generate_series(1, $2)",
        home,
        MANY,
    )


async def pages(lab: Lab, sql: str, *arguments: Any) -> int:
    """How many pages running the statement touches. It is rolled back."""
    async with lab.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *arguments)
        finally:
            await transaction.rollback()
    top = msgspec.json.decode(plan)[0]["Plan"]
    return top["Shared Hit Blocks"] + top["Shared Read Blocks"]


async def test_relaying_touches_what_waits_only(large: Lab, home: UUID):
    for n in range(3):
        await large.enqueue(home, PING, n)
        await large.emit(home, n)
    assert await pages(large, relay._RELAY_EVENTS, 512, [], [], [], []) < 200
    assert await pages(large, relay._TAKE_DUE, 512, ["probe.ping"], 0.0) < 200


async def test_claims_beats_and_failures_touch_their_jobs_only(large: Lab, home: UUID):
    for n in range(3):
        await large.enqueue(home, PING, n)
    _, due = await relay.take_due(large.pool, large.catalogs.current)
    ids, fences = [job for job, _ in due], [fence for _, fence in due]
    assert await pages(large, lease._CLAIM, ids, fences, "worker") < 200
    (first, *_), held = await lease.claim(large.pool, due, "worker"), [fence + 1 for fence in fences]
    assert await pages(large, lease._BEAT, ids, held) < 200
    assert await pages(large, lease._FAIL, first.id, first.fence, "no luck", 1.0) < 200
    assert await pages(large, lease._RELEASE, ids, held) < 200
    async with large.work(home) as work:
        plan = await work.fetchval(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT kernel_complete_job($1, $2)", first.id, first.fence
        )
    top = msgspec.json.decode(plan)[0]["Plan"]
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 200


async def test_sweeping_touches_unfinished_jobs_only(large: Lab):
    assert await pages(large, sweeps._REQUEUE_LOST, 0.0, 500) < 200
    assert await pages(large, sweeps._RESCUE_STUCK, 30.0, 500) < 200
    assert await pages(large, sweeps._REVIVE_PARKED, ["probe.ping"], 500) < 200
    assert await pages(large, sweeps._LAG) < 200
    # Where nothing is old enough, retention reads the beginning of the primary key.
    assert await pages(large, sweeps._DELETE_JOBS, UUID(int=0), 86_400.0, 500) < 200


async def test_a_new_job_is_found_by_its_dedupe_key(large: Lab, home: UUID):
    await large.enqueue(home, PING, 1, dedupe_key="k")
    assert (
        await pages(
            large,
            "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, dedupe_key)"
            " VALUES ($1, $2, 'probe', 'probe.ping', '{}', 8, 'k') ON CONFLICT (tenant_id, name, dedupe_key)"
            " WHERE dedupe_key IS NOT NULL AND finished_at IS NULL DO NOTHING",
            new_id(),
            home,
        )
        < 50
    )
