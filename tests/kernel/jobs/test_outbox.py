"""A job exists if and only if the transaction that enqueued it committed."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from pegboard.jobs.notifier import CHANNEL, Notifier
from pegboard_sdk import Job, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, Pinged, leave_effect


async def run(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


PING = Job(name="probe.ping", payload=Ping, run=run)


async def count(lab: Lab, tenant: UUID) -> tuple[int, int]:
    jobs = await lab.pool.fetchval("SELECT count(*) FROM kernel_jobs WHERE tenant_id = $1", tenant)
    events = await lab.pool.fetchval("SELECT count(*) FROM kernel_events WHERE tenant_id = $1", tenant)
    return jobs, events


async def test_a_transaction_that_is_rolled_back_leaves_neither_job_nor_event(lab: Lab, home: UUID):
    lab.install(PING)

    async def fail_after_enqueueing() -> None:
        async with lab.work(home) as work:
            await work.enqueue(PING, Ping())
            await work.emit(Pinged(n=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_enqueueing()
    assert await count(lab, home) == (0, 0)


async def test_a_transaction_that_commits_leaves_both(lab: Lab, home: UUID):
    lab.install(PING)
    async with lab.work(home) as work:
        job_id = await work.enqueue(PING, Ping(7))
        await work.emit(Pinged(n=1))
    assert await count(lab, home) == (1, 1)
    assert job_id is not None
    row = await lab.row(job_id)
    assert (row["state"], row["plugin"], row["payload"], row["request_id"]) == (
        "queued",
        "probe",
        '{"n": 7}',
        work.request_id,
    )


async def test_a_delayed_job_waits(lab: Lab, home: UUID):
    lab.install(PING)
    job_id = await lab.enqueue(home, PING, 1, delay=3600.0)
    assert 3500 < (await lab.row(job_id))["due_in"].total_seconds() <= 3600
    assert await lab.drain() == 0
    assert await lab.drain(include_delayed=True) == 1
    assert await lab.effects(home) == [1]


async def test_a_dedupe_key_is_held_until_the_job_has_finished(lab: Lab, home: UUID):
    lab.install(PING)
    async with lab.work(home) as work:
        assert await work.enqueue(PING, Ping(1), dedupe_key="k") is not None
        assert await work.enqueue(PING, Ping(2), dedupe_key="k") is None
        assert await work.enqueue(PING, Ping(3), dedupe_key="other") is not None
    await lab.drain()
    async with lab.work(home) as work:
        assert await work.enqueue(PING, Ping(4), dedupe_key="k") is not None
    await lab.drain()
    assert await lab.effects(home) == [1, 3, 4]


async def test_a_dedupe_key_is_one_tenants(lab: Lab, home: UUID):
    lab.install(PING)
    await lab.enqueue(home, PING, 1, dedupe_key="k")
    await lab.enqueue(await lab.tenant(), PING, 2, dedupe_key="k")


async def test_of_two_concurrent_transactions_with_one_dedupe_key_one_enqueues(lab: Lab, home: UUID):
    lab.install(PING)

    async def attempt(n: int) -> UUID | None:
        async with lab.work(home) as work:
            return await work.enqueue(PING, Ping(n), dedupe_key="k")

    given = await asyncio.gather(*(attempt(n) for n in range(5)))
    assert len([job_id for job_id in given if job_id is not None]) == 1
    assert (await count(lab, home))[0] == 1


async def test_a_job_that_nobody_would_run_is_refused(lab: Lab, home: UUID):
    lab.install()
    with pytest.raises(LookupError, match=r"no enabled plugin has the job probe\.ping"):
        await lab.enqueue(home, PING)


async def test_another_payload_than_the_jobs_is_refused(lab: Lab, home: UUID):
    lab.install(PING)
    with pytest.raises(TypeError, match="takes a Ping, not a Pinged"):
        async with lab.work(home) as work:
            await work.enqueue(PING, Pinged(n=1))


async def test_no_business_transaction_notifies(lab: Lab, home: UUID):
    """NOTIFY inside a transaction takes a lock that serializes all commits. Without the notifier nothing is heard."""
    lab.install(PING)
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(lab.runtime.database.urls.system)
    notifier, lab.runtime.notifier = lab.runtime.notifier, Silent(lab.runtime.database)
    try:
        await listener.add_listener(CHANNEL, lambda *told: heard.put_nowait(str(told[-1])))
        async with lab.work(home) as work:
            await work.enqueue(PING, Ping())
            await work.emit(Pinged(n=1))
        await lab.drain()
        # Notifications come in order of commit: had a transaction above notified, it would be heard before this one.
        await lab.pool.execute(f"SELECT pg_notify('{CHANNEL}', 'fence')")
        assert await asyncio.wait_for(heard.get(), 5) == "fence"
        assert lab.runtime.notifier.poked == 2
    finally:
        lab.runtime.notifier = notifier
        await listener.close()


class Silent(Notifier):
    """Counts what it would have told."""

    poked = 0

    async def poke(self) -> None:
        self.poked += 1


async def test_many_commits_are_told_with_few_notifications(lab: Lab):
    told: asyncio.Queue[None] = asyncio.Queue()
    listener = await asyncpg.connect(lab.runtime.database.urls.system)
    notifier = Notifier(lab.runtime.database, interval=0.05)
    try:
        await listener.add_listener(CHANNEL, lambda *_: told.put_nowait(None))
        await notifier.poke()
        await asyncio.wait_for(told.get(), 5)
        for _ in range(100):
            await notifier.poke()
        await notifier.close()
        await listener.execute("SELECT 1")
        assert told.qsize() == 1, "one notification at once, and one for all the others"
    finally:
        await listener.close()
