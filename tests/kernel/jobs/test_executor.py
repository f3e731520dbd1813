"""A job's effect and its completion are one transaction; a failure leaves no effect and is tried again."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.jobs.lease import retry_delay
from pegboard_sdk import DomainError, ExternalJob, Job, SteppedUnitOfWork, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, leave_effect


async def leave(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


async def leave_and_fail(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)
    raise ZeroDivisionError("no luck")


PING = Job(name="probe.ping", payload=Ping, run=leave)
FAILING = Job(name="probe.ping", payload=Ping, run=leave_and_fail, max_attempts=3)


async def test_a_job_runs_once_as_the_system_principal_of_its_tenant(lab: Lab, home: UUID):
    seen: list[tuple[str, UUID, str]] = []

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        seen.append((uow.principal.kind, uow.tenant_id, uow.request_id))
        await leave_effect(uow, "ping", ping.n)

    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    async with lab.work(home) as work:
        job_id = await work.enqueue(PING, Ping(5))
    assert await lab.drain() == 1
    assert seen == [("system", home, work.request_id)]
    assert await lab.effects(home) == [5]
    assert job_id is not None
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["fence"], row["error"]) == ("succeeded", 1, 1, None)
    assert row["finished_at"] is not None


async def test_a_job_sees_no_other_tenants_rows(lab: Lab, home: UUID):
    found: list[int] = []

    async def run(uow: UnitOfWork, _: Ping) -> None:
        found.append(await uow.fetchval("SELECT count(*) FROM probe_effects"))

    lab.install(PING)
    await lab.enqueue(home, PING, 1)
    await lab.drain()
    lab.install(Job(name="probe.ping", payload=Ping, run=run))
    await lab.enqueue(await lab.tenant(), PING)
    await lab.enqueue(home, PING)
    await lab.drain()
    assert sorted(found) == [0, 1]


async def test_the_application_can_complete_no_job_by_itself(lab: Lab, home: UUID):
    """Neither by UPDATE nor by the function, unless the job runs under the fence that is named."""
    lab.install(PING)
    job_id = await lab.enqueue(home, PING)
    async with lab.work(home) as work:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with work.savepoint():
                await work.execute("UPDATE kernel_jobs SET state = 'succeeded' WHERE id = $1", job_id)
        with pytest.raises(asyncpg.PostgresError, match="was taken over"):
            async with work.savepoint():
                await work.execute("SELECT kernel_complete_job($1, 0)", job_id)
    claimed = await lab.claim_one()
    async with lab.work(await lab.tenant()) as work:
        with pytest.raises(asyncpg.PostgresError, match="was taken over"):
            async with work.savepoint():
                await work.execute("SELECT kernel_complete_job($1, $2)", *claimed.token)


async def test_a_failure_leaves_no_effect_and_is_tried_again_later(lab: Lab, home: UUID):
    lab.install(FAILING)
    job_id = await lab.enqueue(home, FAILING)
    assert await lab.drain() == 1
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["error"]) == ("queued", 1, "ZeroDivisionError: no luck")
    assert 0 < row["due_in"].total_seconds() <= 1
    assert await lab.effects(home) == []


async def test_the_last_failure_is_a_dead_letter(lab: Lab, home: UUID):
    lab.install(FAILING)
    job_id = await lab.enqueue(home, FAILING)
    assert await lab.drain(include_delayed=True) == 3
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["fence"]) == ("dead", 3, 3)
    assert row["finished_at"] is not None
    assert await lab.drain(include_delayed=True) == 0


async def test_an_error_with_odd_characters_is_told_too(lab: Lab, home: UUID):
    async def run(_: UnitOfWork, __: Ping) -> None:
        raise ValueError("a \0 and half a pair: \ud800")

    job = Job(name="probe.ping", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job)
    await lab.drain()
    assert (await lab.row(job_id))["error"] == "ValueError: a \ufffd and half a pair: ?"


async def test_what_was_to_run_after_the_commit_runs_and_can_not_undo_the_job(lab: Lab, home: UUID):
    ran: list[str] = []

    async def after() -> None:
        ran.append("after")
        raise ZeroDivisionError

    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await leave_effect(uow, "ping", ping.n)
        uow.after_commit(after)

    job = Job(name="probe.ping", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 1)
    await lab.drain()
    assert (ran, (await lab.row(job_id))["state"]) == (["after"], "succeeded")


async def test_a_payload_that_no_longer_fits_is_a_failure(lab: Lab, home: UUID):
    class Other(msgspec.Struct):
        wanted: str

    async def run(uow: UnitOfWork, _: Other) -> None:
        await leave_effect(uow, "other", 1)

    lab.install(PING)
    job_id = await lab.enqueue(home, PING)
    lab.install(Job(name="probe.ping", payload=Other, run=run))
    await lab.drain()
    assert "missing required field `wanted`" in (await lab.row(job_id))["error"]


async def test_a_job_that_takes_too_long_is_stopped(lab: Lab, home: UUID):
    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await leave_effect(uow, "ping", ping.n)
        await asyncio.Event().wait()

    slow = Job(name="probe.ping", payload=Ping, run=run, timeout=0.05)
    lab.install(slow)
    job_id = await lab.enqueue(home, slow)
    async with asyncio.timeout(5):
        await lab.drain()
    row = await lab.row(job_id)
    assert (row["state"], row["error"]) == ("queued", "it took longer than 0.05 s")
    assert await lab.effects(home) == []


async def test_a_time_out_of_the_jobs_own_is_told_as_such(lab: Lab, home: UUID):
    async def run(_: UnitOfWork, __: Ping) -> None:
        raise TimeoutError("the bank did not answer")

    job = Job(name="probe.ping", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job)
    await lab.drain()
    assert (await lab.row(job_id))["error"] == "TimeoutError: the bank did not answer"


async def test_transactions_in_conflict_are_run_again_at_once(lab: Lab, home: UUID):
    runs: list[int] = []

    async def run(uow: Any, ping: Ping) -> None:
        runs.append(ping.n)
        await leave_effect(uow, "ping", ping.n)
        if len(runs) < 3:
            await uow.connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    job = Job(name="probe.ping", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 9)
    assert await lab.drain() == 1
    assert len(runs) == 3
    assert await lab.effects(home) == [9]
    assert (await lab.row(job_id))["attempts"] == 1


async def test_an_error_that_the_job_swallows_does_not_commit_half_of_it(lab: Lab, home: UUID):
    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await leave_effect(uow, "ping", ping.n)
        with pytest.raises(asyncpg.UndefinedTableError):
            await uow.execute("SELECT 1 FROM no_such_table")

    job = Job(name="probe.ping", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job)
    await lab.drain()
    assert (await lab.row(job_id))["state"] == "queued"
    assert await lab.effects(home) == []


async def test_what_a_job_gives_is_kept(lab: Lab, home: UUID):
    async def run(_: UnitOfWork, ping: Ping) -> Ping:
        return Ping(ping.n + 1)

    job = Job(name="probe.ping", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 1)
    await lab.drain()
    row = await lab.row(job_id)
    assert (row["state"], row["result"]) == ("succeeded", '{"n": 2}')


async def test_jobs_that_a_job_starts_run_too(lab: Lab, home: UUID):
    async def run(uow: UnitOfWork, ping: Ping) -> None:
        await leave_effect(uow, "ping", ping.n)
        if ping.n:
            await uow.enqueue(chain, Ping(ping.n - 1))

    chain = Job(name="probe.chain", payload=Ping, run=run)
    lab.install(chain)
    await lab.enqueue(home, chain, 3)
    assert await lab.drain() == 4
    assert await lab.effects(home) == [0, 1, 2, 3]


async def test_an_external_job_holds_no_transaction_between_its_steps(lab: Lab, home: UUID):
    open_between: list[int] = []

    async def run(uow: SteppedUnitOfWork, ping: Ping) -> None:
        async with uow.step() as step:
            await leave_effect(step, "reserve", ping.n)
        open_between.append(
            await lab.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND application_name = $1",
                f"pegboard:{uow.tenant_id}",
            )
        )
        async with uow.step() as step:
            await leave_effect(step, "settle", ping.n + 1)

    job = ExternalJob(name="probe.call", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 1)
    await lab.drain()
    assert open_between == [0]
    assert await lab.effects(home) == [1, 2]
    assert (await lab.row(job_id))["state"] == "succeeded"


async def test_the_steps_that_an_external_job_finished_stay_when_it_fails(lab: Lab, home: UUID):
    async def run(uow: SteppedUnitOfWork, ping: Ping) -> None:
        async with uow.step() as step:
            await leave_effect(step, "reserve", ping.n)
        raise DomainError("the bank is closed")

    job = ExternalJob(name="probe.call", payload=Ping, run=run)
    lab.install(job)
    job_id = await lab.enqueue(home, job, 1)
    await lab.drain()
    assert await lab.effects(home) == [1]
    assert (await lab.row(job_id))["error"] == "DomainError: the bank is closed"


async def test_a_job_of_a_disabled_plugin_is_parked_and_runs_once_the_plugin_is_back(lab: Lab, home: UUID):
    from pegboard.jobs.sweeps import revive_parked

    lab.install(PING)
    job_id = await lab.enqueue(home, PING, 1)
    lab.install()
    assert await lab.drain() == 0
    assert await revive_parked(lab.pool, lab.catalogs.current.names) == 0
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"]) == ("parked", 0)
    lab.install(PING)
    assert await revive_parked(lab.pool, lab.catalogs.current.names) == 1
    assert await lab.drain() == 1
    assert await lab.effects(home) == [1]


async def test_a_job_whose_plugin_goes_between_claim_and_run_is_parked_without_costing_an_attempt(lab: Lab, home: UUID):
    lab.install(PING)
    job_id = await lab.enqueue(home, PING, 1)
    claimed = await lab.claim_one()
    lab.install()
    assert await lab.executor.run(claimed) == "parked"
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"], row["worker"]) == ("parked", 0, None)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_the_delay_grows_up_to_an_hour_and_half_of_it_is_jitter(attempts: int, uniform: float):
    full = min(3600.0, 4.0 ** (attempts - 1))
    assert full / 2 <= retry_delay(attempts, uniform) <= full
