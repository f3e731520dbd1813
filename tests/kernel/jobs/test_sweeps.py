"""The sweep finds what got lost, and deletes what is old."""

from uuid import UUID

import pytest
from pegboard.jobs.leadership import Leadership
from pegboard.jobs.relay import take_due
from pegboard.jobs.sweeps import MARKER, Sweeper, delete_old, requeue_lost, rescue_stuck
from pegboard_sdk import EventHandler, Job, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, PingedView, leave_effect

DAY = 86_400.0


async def leave(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


PING = Job(name="probe.ping", payload=Ping, run=leave)


@pytest.fixture
def sweeper(lab: Lab) -> Sweeper:
    return Sweeper(lab.runtime, lab.pool, lab.catalogs, holder="test")


async def send(lab: Lab, tenant: UUID, n: int = 0) -> UUID:
    """Enqueue a job and mark it as sent."""
    job_id = await lab.enqueue(tenant, PING, n)
    await take_due(lab.pool, lab.catalogs.current)
    return job_id


async def test_a_message_that_nobody_claimed_is_sent_again_after_a_while(lab: Lab, home: UUID, sweeper: Sweeper):
    lab.install(PING)
    await sweeper.sweep()
    old, fresh = await send(lab, home, 1), await send(lab, home, 2)
    await lab.age(old, lab.runtime.config.jobs.rescue_after)
    await sweeper.sweep()
    assert (await lab.row(old))["state"] == "queued"
    assert (await lab.row(fresh))["state"] == "sent"


async def test_when_redis_was_emptied_everything_is_sent_again_at_once(lab: Lab, home: UUID, sweeper: Sweeper):
    lab.install(PING)
    await sweeper.sweep()
    job_id = await send(lab, home)
    await sweeper.sweep()
    assert (await lab.row(job_id))["state"] == "sent"
    await lab.runtime.redis.flushdb()
    await sweeper.sweep()
    assert (await lab.row(job_id))["state"] == "queued"
    assert await lab.runtime.redis.exists(MARKER)


async def test_while_messages_wait_in_redis_a_job_may_wait_longer(lab: Lab, home: UUID, sweeper: Sweeper):
    lab.install(PING)
    await sweeper.sweep()
    job_id = await send(lab, home)
    await lab.runtime.redis.rpush("pegboard:dramatiq:pegboard", "a message")
    await lab.age(job_id, lab.runtime.config.jobs.rescue_after)
    await sweeper.sweep()
    assert (await lab.row(job_id))["state"] == "sent"
    await lab.age(job_id, 10 * lab.runtime.config.jobs.rescue_after)
    await sweeper.sweep()
    assert (await lab.row(job_id))["state"] == "queued"


async def test_more_than_a_batch_is_sent_again(lab: Lab, home: UUID):
    lab.install(PING)
    await lab.pool.execute(
        "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, state, sent_at)"
        " SELECT gen_random_uuid(), $1, 'probe', 'probe.ping', '{}', 8, 'sent', now() FROM generate_series(1, 1203)",
        home,
    )
    assert await requeue_lost(lab.pool, 0.0) == 1203


async def test_a_dead_workers_jobs_and_parked_jobs_are_taken_up(lab: Lab, home: UUID, sweeper: Sweeper):
    lab.install(PING)
    held = await lab.enqueue(home, PING, 1)
    await lab.claim()
    await lab.age(held, lab.runtime.config.jobs.rescue_after + 1)
    parked = await lab.enqueue(home, PING, 2)
    lab.install()
    await lab.drain()
    assert (await lab.row(parked))["state"] == "parked"
    lab.install(PING)
    await sweeper.sweep()
    assert [(await lab.row(job_id))["state"] for job_id in (held, parked)] == ["queued", "queued"]


async def test_what_is_old_is_deleted_in_batches_and_dead_letters_stay(lab: Lab, home: UUID):
    listen = EventHandler(event="probe.pinged", name="listen", type=PingedView, handle=_ignore)
    lab.install(PING, handlers=[listen])
    await lab.emit(home, 1)
    await lab.enqueue(home, PING, 1)
    await lab.drain()
    await lab.enqueue(home, PING, 2)
    dead = await lab.enqueue(home, PING, 3)
    await lab.pool.execute("UPDATE kernel_jobs SET state = 'dead', finished_at = now() WHERE id = $1", dead)
    assert await delete_old(lab.pool, DAY) == 0
    for table in ("kernel_jobs", "kernel_events"):
        # Made two days ago: the id's first 48 bits are the time in milliseconds.
        await lab.pool.execute(
            f"UPDATE {table} SET id = overlay(id::text PLACING substr(lpad(to_hex((extract(epoch FROM now()) * 1000"
            f" - 172800000)::bigint), 12, '0'), 1, 8) FROM 1 FOR 8)::uuid"
        )
    await lab.pool.execute("UPDATE kernel_jobs SET finished_at = finished_at - interval '2 days'")
    await lab.pool.execute("UPDATE kernel_events SET relayed_at = relayed_at - interval '2 days'")
    assert await delete_old(lab.pool, DAY) == 3, "the job that was done, the delivery and the event"
    left = await lab.pool.fetch("SELECT state FROM kernel_jobs")
    assert sorted(row["state"] for row in left) == ["dead", "queued"]
    assert await lab.pool.fetchval("SELECT count(*) FROM kernel_events") == 0


async def _ignore(_: UnitOfWork, __: PingedView) -> None:
    return None


async def test_one_process_leads_until_it_resigns_or_its_lease_ends(lab: Lab):
    first, second = (Leadership(lab.pool, "test", name, ttl=30) for name in ("first", "second"))
    assert await first.held()
    assert not await second.held()
    await first.resign()
    third = Leadership(lab.pool, "test", "third", ttl=30)
    assert await third.held()
    await lab.pool.execute("UPDATE kernel_leases SET expires_at = now() - interval '1 second'")
    fourth = Leadership(lab.pool, "test", "fourth", ttl=30)
    assert await fourth.held()
    assert not await Leadership(lab.pool, "test", "third", ttl=30).held()


async def test_jobs_that_a_worker_died_with_again_come_back_apart(lab: Lab, home: UUID):
    """Else the same ones are claimed together each time, and the one that kills workers takes them all along."""
    lab.install(PING)
    jobs = [await lab.enqueue(home, PING, n) for n in range(8)]
    for attempts in (1, 5):
        await lab.pool.execute(
            "UPDATE kernel_jobs SET state = 'running', attempts = $1, worker = 'w', run_at = now(),"
            " heartbeat_at = now() - interval '1 minute'",
            attempts,
        )
        assert len(await rescue_stuck(lab.pool, 30)) == 8
        due = [(await lab.row(job_id))["run_at"] for job_id in jobs]
        assert len(set(due)) == (1 if attempts == 1 else 8)
        assert (max(due) - min(due)).total_seconds() <= 2 ** (attempts - 1)
