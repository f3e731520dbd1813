"""Jobs of a plugin whose breaker is open wait: none is lost, and waiting uses up no attempt."""

import asyncio
from uuid import UUID

import pytest
from pegboard.isolation.breakers import Breakers
from pegboard.jobs.executor import Executor
from pegboard.jobs.relay import relay_events
from pegboard_sdk import EventHandler, ExternalJob, Job, SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.errors import Conflict

from tests.kernel.isolation.conftest import SETTINGS
from tests.kernel.isolation.plugins import Clock
from tests.kernel.jobs.lab import Lab, Ping, Pinged, PingedView, leave_effect

NAME = "probe.ping"


class Work:
    """What the job does."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.ran = 0

    async def __call__(self, uow: UnitOfWork, ping: Ping) -> None:
        self.ran += 1
        if self.error is not None:
            raise self.error
        await leave_effect(uow, "ping", ping.n)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def job(work: Work) -> Job:
    return Job(name=NAME, payload=Ping, run=work, max_attempts=50)


@pytest.fixture
def breakers(lab: Lab, job: Job, clock: Clock) -> Breakers:
    breakers = Breakers(SETTINGS, lab.runtime.metrics, clock=clock)
    lab.install(job)
    breakers.use(lab.runtime.registry)
    lab.executor = Executor(lab.runtime, lab.pool, lab.catalogs, breakers=breakers)
    return breakers


async def run_due(lab: Lab) -> list[str]:
    """Claim and run what is due; the outcomes."""
    await lab.pool.execute("UPDATE kernel_jobs SET run_at = now() WHERE state = 'queued'")
    return [await lab.executor.run(claimed) for claimed in await lab.claim()]


async def test_they_wait_while_it_is_open_and_all_are_done_when_it_works_again(
    lab: Lab, home: UUID, job: Job, work: Work, breakers: Breakers, clock: Clock
):
    ids = [await lab.enqueue(home, job, n) for n in range(10)]
    work.error = KeyError("x")
    outcomes = await run_due(lab)
    assert outcomes == ["retried"] * 4 + ["held"] * 6
    assert breakers.states() == {"probe": "open"}
    rows = [await lab.row(job_id) for job_id in ids]
    held = [row for row in rows if row["error"] is None]
    assert [(row["state"], row["attempts"]) for row in held] == [("queued", 0)] * 6
    waits = sorted(row["due_in"].total_seconds() for row in held)
    assert waits[0] >= 9
    assert waits[-1] <= 20
    assert len({round(wait, 3) for wait in waits}) == 6  # not all at once

    clock.now += 10
    assert set(await run_due(lab)) == {"retried", "held"}  # the first probe fails
    assert breakers.states() == {"probe": "open"}

    work.error = None
    clock.now += 20
    while breakers.states():
        await run_due(lab)
    await run_due(lab)
    assert await lab.effects(home) == list(range(10))
    rows = [await lab.row(job_id) for job_id in ids]
    assert {row["state"] for row in rows} == {"succeeded"}
    assert sum(row["attempts"] for row in rows) == 10 + 5  # once each, and the five failures


async def test_what_a_job_refuses_is_no_failure(lab: Lab, home: UUID, job: Job, work: Work, breakers: Breakers):
    work.error = Conflict("not now")
    for n in range(8):
        await lab.enqueue(home, job, n)
    assert await run_due(lab) == ["retried"] * 8
    assert breakers.states() == {}


async def test_a_lost_lease_is_no_failure(lab: Lab, home: UUID, job: Job, breakers: Breakers):
    for n in range(5):
        await lab.enqueue(home, job, n)
    claimed = await lab.claim()
    await lab.pool.execute("UPDATE kernel_jobs SET fence = fence + 1")
    assert [await lab.executor.run(one) for one in claimed] == ["lost"] * 5
    breaker = breakers.get("probe")
    assert breaker is not None
    assert breaker.counts == (0, 0)


async def test_a_time_out_of_a_job_is_one(lab: Lab, home: UUID, breakers: Breakers):
    async def run(_: SteppedUnitOfWork, __: Ping) -> None:
        await asyncio.Event().wait()

    slow = ExternalJob(name=NAME, payload=Ping, run=run, timeout=0.05)
    lab.install(slow)
    breakers.use(lab.runtime.registry)
    for n in range(4):
        await lab.enqueue(home, slow, n)
    assert await run_due(lab) == ["retried"] * 4
    assert breakers.states() == {"probe": "open"}


async def test_deliveries_of_events_count_and_wait(lab: Lab, home: UUID, work: Work, breakers: Breakers):
    async def handle(_: UnitOfWork, __: PingedView) -> None:
        if work.error is not None:
            raise work.error

    work.error = KeyError("x")
    handler = EventHandler(event=Pinged.name, name="note", type=PingedView, handle=handle)
    lab.install(handlers=(handler,))
    breakers.use(lab.runtime.registry)
    for n in range(6):
        await lab.emit(home, n)
    await relay_events(lab.pool, lab.catalogs.current)
    assert await run_due(lab) == ["retried"] * 4 + ["held"] * 2
