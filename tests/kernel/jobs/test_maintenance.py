"""Jobs wait while the platform is under maintenance, where its operator says so."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from pegboard.maintenance.schemas import Maintenance
from pegboard_sdk import Job, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, leave_effect


@pytest.fixture
def job(lab: Lab) -> Iterator[Job]:
    async def ping(uow: UnitOfWork, payload: Ping) -> None:
        await leave_effect(uow, "ping", payload.n)

    job = Job(name="probe.ping", payload=Ping, run=ping)
    lab.install(job)
    yield job
    lab.runtime.maintenance.now = Maintenance(on=False)


async def test_a_held_job_waits_without_using_up_an_attempt(lab: Lab, home: UUID, job: Job):
    job_id = await lab.enqueue(home, job, 1)
    lab.runtime.maintenance.now = Maintenance(on=True, holds_jobs=True)
    assert [await lab.executor.run(claimed) for claimed in await lab.claim()] == ["held"]
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"]) == ("queued", 0)
    lab.runtime.maintenance.now = Maintenance(on=True)
    await lab.pool.execute("UPDATE kernel_jobs SET run_at = now() WHERE id = $1", job_id)
    assert [await lab.executor.run(claimed) for claimed in await lab.claim()] == ["succeeded"]
