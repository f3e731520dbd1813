"""A whole worker in this process: relay, Redis, dramatiq, dispatcher, sweep."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from pegboard.config.model import Config
from pegboard.database.pool import DATABASE_ERRORS
from pegboard.jobs.catalog import Standing
from pegboard.jobs.worker import JobWorker
from pegboard_sdk import EventHandler, Job, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, PingedView, leave_effect
from tests.kernel.jobs.waiting import until


async def leave(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


async def leave_event(uow: UnitOfWork, event: PingedView) -> None:
    await leave_effect(uow, "event", event.n)


PING = Job(name="probe.ping", payload=Ping, run=leave)
LISTEN = EventHandler(event="probe.pinged", name="listen", type=PingedView, handle=leave_event)


@asynccontextmanager
async def working(lab: Lab, **changes: float) -> AsyncIterator[JobWorker]:
    """A worker for the lab's jobs, with some of its settings changed."""
    runtime = lab.runtime
    config: Config = runtime.config
    runtime.config = msgspec.structs.replace(config, jobs=msgspec.structs.replace(config.jobs, **changes))
    worker = JobWorker(runtime, lambda: Standing(runtime.registry))
    try:
        await worker.start()
        yield worker
    finally:
        await worker.stop()
        runtime.config = config


async def test_jobs_and_events_go_through_redis_and_each_takes_effect_once(lab: Lab, home: UUID):
    lab.install(PING, handlers=[LISTEN])
    async with working(lab):
        for n in range(60):
            await (lab.enqueue(home, PING, n) if n % 3 else lab.emit(home, n))
        await until(lambda: lab.finished(home, 60), what="every job finished")
    assert await lab.effects(home) == list(range(60))


async def test_a_worker_wakes_on_a_notification_not_only_on_its_poll(lab: Lab, home: UUID):
    lab.install(PING)
    async with working(lab, poll_interval=600.0):
        await lab.enqueue(home, PING, 1)
        await until(lambda: lab.finished(home, 1), within=10, what="the job finished")


async def test_a_worker_polls_where_no_notification_comes(lab: Lab, home: UUID):
    lab.install(PING)
    await lab.pool.execute(
        "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts)"
        " VALUES (gen_random_uuid(), $1, 'probe', 'probe.ping', '{\"n\": 1}', 8)",
        home,
    )
    async with working(lab, poll_interval=0.05):
        await until(lambda: lab.finished(home, 1), within=10, what="the job finished")


async def test_no_more_jobs_run_at_once_than_configured(lab: Lab, home: UUID):
    running, most = 0, 0

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await uow.fetchval("SELECT pg_sleep(0.002)")
        running -= 1

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    async with working(lab, concurrency=3):
        for n in range(30):
            await lab.enqueue(home, PING, n)
        await until(lambda: lab.finished(home, 30), what="every job finished")
    assert most == 3


async def test_when_redis_is_emptied_with_jobs_in_it_none_is_lost(lab: Lab, home: UUID):
    gate = asyncio.Event()

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await gate.wait()
        await leave_effect(uow, "ping", ping.n)

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    async with working(lab, concurrency=1, poll_interval=0.05):
        count = 0
        # More than the worker takes ahead, so that some are nowhere but in Redis.
        while await lab.runtime.redis.llen("pegboard:dramatiq:pegboard") < 5:
            await lab.enqueue(home, PING, count)
            count += 1
        await lab.runtime.redis.flushdb()
        gate.set()
        await until(lambda: lab.finished(home, count), what="every job finished")
    assert await lab.effects(home) == list(range(count))


async def test_a_worker_that_stops_finishes_what_runs_and_gives_back_the_rest(lab: Lab, home: UUID):
    started: list[int] = []
    gate = asyncio.Event()

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        started.append(ping.n)
        await leave_effect(uow, "ping", ping.n)
        await gate.wait()

    async def two_are_running() -> bool:
        return len(started) == 2

    async def the_others_are_given_back() -> bool:
        return await lab.pool.fetchval("SELECT count(*) FROM kernel_jobs WHERE state = 'queued'") == 8

    async def let_them_finish() -> None:
        await until(the_others_are_given_back, what="the others were given back")
        gate.set()

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    async with asyncio.TaskGroup() as tasks, working(lab, concurrency=2):
        for n in range(10):
            await lab.enqueue(home, PING, n)
        await until(two_are_running, what="two jobs ran")
        tasks.create_task(let_them_finish())
    assert len(started) == 2, "nothing new began while the worker stopped"
    assert await lab.effects(home) == sorted(started)
    rows = await lab.pool.fetch("SELECT state, attempts FROM kernel_jobs WHERE tenant_id = $1", home)
    assert sorted((row["state"], row["attempts"]) for row in rows) == [("queued", 0)] * 8 + [("succeeded", 1)] * 2


async def test_what_does_not_finish_within_the_grace_is_undone_and_queued_again(lab: Lab, home: UUID):
    started = asyncio.Event()

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await leave_effect(uow, "ping", ping.n)
        started.set()
        await asyncio.Event().wait()

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    async with working(lab, shutdown_grace=0.05):
        job_id = await lab.enqueue(home, PING, 1)
        await asyncio.wait_for(started.wait(), 20)
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["worker"]) == ("queued", 0, None)
    assert await lab.effects(home) == []


async def test_a_job_whose_lease_was_lost_is_stopped(lab: Lab, home: UUID):
    started, stopped = asyncio.Event(), asyncio.Event()

    async def run(_: UnitOfWork, __: Ping) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    async with working(lab, heartbeat_interval=0.05):
        job_id = await lab.enqueue(home, PING, 1)
        await asyncio.wait_for(started.wait(), 20)
        # Somebody else has claimed it: a fence that is not this worker's.
        await lab.pool.execute("UPDATE kernel_jobs SET fence = fence + 1, worker = 'other' WHERE id = $1", job_id)
        await asyncio.wait_for(stopped.wait(), 20)
    row = await lab.row(job_id)
    assert (row["state"], row["worker"]) == ("running", "other")


async def test_a_worker_goes_on_after_its_connections_broke(lab: Lab, home: UUID):
    """As when PostgreSQL restarts: every connection of the worker is ended by the server."""
    lab.install(PING)
    async with working(lab, poll_interval=0.05):
        await lab.enqueue(home, PING, 1)
        await until(lambda: lab.finished(home, 1), what="the first job finished")
        administrator = await asyncpg.connect(lab.runtime.config.database.url.reveal())
        await administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename IN ('pegboard_app', 'pegboard_system')"
        )
        await administrator.close()
        await until(lambda: survives(lab.enqueue(home, PING, 2)), what="a job could be enqueued")
        await until(lambda: survives(lab.finished(home, 2)), what="the second job finished")
    assert await lab.effects(home) == [1, 2]


async def survives(asked: Awaitable[Any]) -> bool:
    """Whether the database gave something truthy: an idle connection that was ended says so when it is next used."""
    try:
        return bool(await asked)
    except DATABASE_ERRORS:
        return False


async def test_while_redis_is_away_jobs_wait_in_postgresql(lab: Lab, home: UUID, unused_tcp_port: int):
    """The relay can't send: the jobs are queued again rather than taken for sent."""
    lab.install(PING)
    config: Config = lab.runtime.config
    nowhere = type(config.redis.url)(f"redis://127.0.0.1:{unused_tcp_port}/0")
    lab.runtime.config = msgspec.structs.replace(config, redis=msgspec.structs.replace(config.redis, url=nowhere))
    worker = JobWorker(lab.runtime, lambda: Standing(lab.runtime.registry))
    try:
        await worker.start()
        job_id = await lab.enqueue(home, PING, 1)

        async def tried() -> bool:
            row = await lab.row(job_id)
            return row["sent_at"] is not None and row["state"] == "queued"

        await until(tried, what="the relay tried and queued the job again")
    finally:
        await worker.stop()
        lab.runtime.config = config
    async with working(lab):
        await until(lambda: lab.finished(home, 1), what="the job finished")
