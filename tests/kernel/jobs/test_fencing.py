"""Whoever lost a job's lease can't write anything for it any more."""

import asyncio
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard.jobs.lease import Claimed, beat, claim, fail, release
from pegboard.jobs.relay import take_due, untake
from pegboard.jobs.sweeps import requeue_lost, rescue_stuck
from pegboard_sdk import ExternalJob, Job, SteppedUnitOfWork, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, leave_effect


async def leave(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


PING = Job(name="probe.ping", payload=Ping, run=leave, max_attempts=1000)


async def test_of_a_rescued_job_the_first_worker_can_not_commit(lab: Lab, home: UUID):
    started, go_on = asyncio.Event(), asyncio.Event()

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await leave_effect(uow, "ping", ping.n)
        if not started.is_set():
            started.set()
            await go_on.wait()

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    job_id = await lab.enqueue(home, PING, 1)
    first = asyncio.create_task(lab.executor.run(await lab.claim_one("first")))
    await started.wait()
    await lab.age(job_id, 31)
    assert [row["id"] for row in await rescue_stuck(lab.pool, 30)] == [job_id]
    assert await lab.executor.run(await lab.claim_one("second")) == "succeeded"
    go_on.set()
    assert await first == "lost"
    assert await lab.effects(home) == [1]
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["fence"], row["worker"]) == ("succeeded", 2, 2, "second")


async def test_of_a_rescued_external_job_the_first_worker_can_make_no_further_step(lab: Lab, home: UUID):
    started, go_on = asyncio.Event(), asyncio.Event()

    async def run(uow: SteppedUnitOfWork, ping: Ping) -> None:
        if not started.is_set():
            started.set()
            await go_on.wait()
        async with uow.step() as step:
            await leave_effect(step, "ping", ping.n)

    job = ExternalJob(name="probe.call", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 1)
    first = asyncio.create_task(lab.executor.run(await lab.claim_one("first")))
    await started.wait()
    await lab.age(job_id, 31)
    await rescue_stuck(lab.pool, 30)
    assert await lab.executor.run(await lab.claim_one("second")) == "succeeded"
    go_on.set()
    assert await first == "lost"
    assert await lab.effects(home) == [1]


async def test_a_step_under_way_keeps_the_job_from_being_taken_over(lab: Lab, home: UUID):
    in_step, go_on = asyncio.Event(), asyncio.Event()

    async def run(uow: SteppedUnitOfWork, ping: Ping) -> None:
        async with uow.step() as step:
            await leave_effect(step, "ping", ping.n)
            in_step.set()
            await go_on.wait()

    job = ExternalJob(name="probe.call", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 1)
    claimed = await lab.claim_one()
    await lab.age(job_id, 31)
    running = asyncio.create_task(lab.executor.run(claimed))
    await in_step.wait()
    assert await rescue_stuck(lab.pool, 30) == []
    assert await beat(lab.pool, [claimed.token]) == set()
    go_on.set()
    assert await running == "succeeded"


async def test_a_job_that_beats_is_not_taken_over(lab: Lab, home: UUID):
    lab.install(PING)
    job_id = await lab.enqueue(home, PING)
    claimed = await lab.claim_one()
    await lab.age(job_id, 31)
    assert await beat(lab.pool, [claimed.token]) == set()
    assert await rescue_stuck(lab.pool, 30) == []


async def test_the_heartbeat_tells_which_jobs_were_lost(lab: Lab, home: UUID):
    lab.install(PING)
    lost, kept, finished = [await lab.enqueue(home, PING, n) for n in range(3)]
    claimed = {job.id: job for job in await lab.claim()}
    await lab.executor.run(claimed[finished])
    await lab.age(lost, 31)
    await rescue_stuck(lab.pool, 30)
    assert await beat(lab.pool, [job.token for job in claimed.values()]) == {lost}
    assert (await lab.row(kept))["state"] == "running"


async def test_a_job_whose_workers_keep_dying_ends_as_a_dead_letter(lab: Lab, home: UUID):
    twice = Job(name="probe.ping", payload=Ping, run=leave, max_attempts=2)
    lab.install(twice)
    job_id = await lab.enqueue(home, twice)
    for _ in range(2):
        await lab.claim_one("doomed")
        await lab.age(job_id, 31)
        await rescue_stuck(lab.pool, 30)
    row = await lab.row(job_id)
    assert (row["state"], row["error"]) == ("dead", "the worker doomed stopped beating")


async def test_a_doubled_message_runs_the_job_once(lab: Lab, home: UUID):
    lab.install(PING)
    await lab.enqueue(home, PING, 1)
    _, due = await take_due(lab.pool, lab.catalogs.current)
    claimed = await claim(lab.pool, due, "first")
    assert len(claimed) == 1
    assert await claim(lab.pool, due, "second") == []
    await lab.executor.run(claimed[0])
    assert await claim(lab.pool, due, "second") == []
    assert await lab.effects(home) == [1]


async def test_an_old_message_does_not_start_a_job_that_waits_for_its_next_attempt(lab: Lab, home: UUID):
    lab.install(PING)
    await lab.enqueue(home, PING, 1)
    _, due = await take_due(lab.pool, lab.catalogs.current)
    (claimed,) = await claim(lab.pool, due, "first")
    await fail(lab.pool, claimed.token, "no luck", 0.0)
    assert await claim(lab.pool, due, "second") == []
    assert len(await lab.claim()) == 1


async def test_an_old_message_does_not_start_a_parked_job(lab: Lab, home: UUID):
    lab.install(PING)
    await lab.enqueue(home, PING, 1)
    _, due = await take_due(lab.pool, lab.catalogs.current)
    await untake(lab.pool, due)
    lab.install()
    await take_due(lab.pool, lab.catalogs.current)
    assert await claim(lab.pool, due, "first") == []


async def test_a_job_given_back_costs_no_attempt(lab: Lab, home: UUID):
    lab.install(PING)
    job_id = await lab.enqueue(home, PING)
    await release(lab.pool, [(await lab.claim_one()).token])
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["worker"]) == ("queued", 0, None)


STEPS = ("take", "claim", "run", "fail", "release", "untake", "lose", "rescue", "beat")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), max_size=40))
async def test_whatever_workers_relays_and_sweeps_do_a_job_takes_effect_once(lab: Lab, steps: list[tuple[str, int]]):
    """Every token and every claim is remembered and used again and again, as by workers that were long given up."""
    tenant = await lab.tenant()
    lab.install(PING)
    await lab.pool.execute("DELETE FROM kernel_jobs")
    jobs = [await lab.enqueue(tenant, PING, n) for n in range(3)]
    tokens: list[tuple[UUID, int]] = []
    claims: list[Claimed] = []
    for step, which in steps:
        if step == "take":
            tokens += (await take_due(lab.pool, lab.catalogs.current, ahead=3600))[1]
        elif step == "claim" and tokens:
            claims += await claim(lab.pool, [tokens[which % len(tokens)]], f"worker {which}")
        elif step == "untake" and tokens:
            await untake(lab.pool, [tokens[which % len(tokens)]])
        elif step == "lose":
            await requeue_lost(lab.pool, 0.0)
        elif step == "rescue":
            await lab.age(jobs[which % 3], 31)
            await rescue_stuck(lab.pool, 30)
        elif claims and step in ("run", "fail", "release", "beat"):
            claimed = claims[which % len(claims)]
            if step == "run":
                await lab.executor.run(claimed)
            elif step == "fail":
                await fail(lab.pool, claimed.token, "no luck", 0.0)
            elif step == "release":
                await release(lab.pool, [claimed.token])
            else:
                await beat(lab.pool, [claimed.token])
    done = await lab.effects(tenant)
    assert len(done) == len(set(done)), "an effect was there twice"
    await lab.pool.execute("UPDATE kernel_jobs SET heartbeat_at = heartbeat_at - interval '1 minute'")
    await requeue_lost(lab.pool, 0.0)
    await rescue_stuck(lab.pool, 30)
    await lab.drain(include_delayed=True)
    assert await lab.effects(tenant) == [0, 1, 2]
    assert set((await lab.states(tenant)).values()) == {"succeeded"}
