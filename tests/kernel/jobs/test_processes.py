"""Real worker processes: killed in the middle of a job, and stopped as a supervisor stops them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from pegboard.config.model import Config
from pegboard.jobs.schedules import sync_schedules
from pegboard.plugins.kernel_part import kernel_plugin
from pegboard.supervisor.readiness import READY_FD

from tests.kernel.jobs.lab import Lab
from tests.kernel.jobs.slow_worker import GO, SLOW, STARTED
from tests.kernel.jobs.waiting import until
from tests.support.servers import MASTER_KEY

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def process(config: Config, command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process with `config`; it is ready when the block begins, and gone when it has ended."""
    read_end, write_end = os.pipe()
    environment = {
        **os.environ,
        READY_FD: str(write_end),
        "PEGBOARD_CONFIG": config.path,
        "PEGBOARD_DATABASE__URL": config.database.url.reveal(),
        "PEGBOARD_REDIS__URL": config.redis.url.reveal(),
        "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
        "PEGBOARD_JOBS__HEARTBEAT_INTERVAL": "0.2",
        "PEGBOARD_JOBS__RESCUE_AFTER": "1.0",
        "PEGBOARD_JOBS__POLL_INTERVAL": "0.1",
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=environment, pass_fds=[write_end], stderr=asyncio.subprocess.PIPE
    )
    os.close(write_end)
    try:
        async with asyncio.timeout(30):
            line = await asyncio.to_thread(os.read, read_end, 16)
        if line != b"ready\n":
            _, errors = await running.communicate()
            raise AssertionError(f"the process did not become ready: {errors.decode()[-2000:]}")
        yield running
    finally:
        os.close(read_end)
        if running.returncode is None:
            running.kill()
        await running.communicate()


def slow_worker(config: Config) -> list[str]:
    return ["-m", "tests.kernel.jobs.slow_worker", config.path, config.redis.url.reveal()]


async def test_a_worker_killed_in_the_middle_of_jobs_loses_none_and_each_takes_effect_once(
    lab: Lab, home: UUID, jobs_config: Config
):
    lab.install(SLOW)
    redis = lab.runtime.redis

    async def begun(count: int) -> bool:
        return await redis.llen(STARTED) == count

    for n in range(3):
        await lab.enqueue(home, SLOW, n)
    async with process(jobs_config, slow_worker(jobs_config)) as first:
        await until(lambda: begun(3), what="the first worker was in the middle of all jobs")
        first.send_signal(signal.SIGKILL)
        await first.wait()
    assert await lab.effects(home) == []
    await redis.rpush(GO, *range(3))
    async with process(jobs_config, slow_worker(jobs_config)):
        await until(lambda: lab.finished(home, 3), what="the second worker did what the first had begun")
    assert await lab.effects(home) == [0, 1, 2]
    attempts = await lab.pool.fetch("SELECT attempts FROM kernel_jobs WHERE tenant_id = $1", home)
    assert [row["attempts"] for row in attempts] == [2, 2, 2]


async def test_a_worker_told_to_stop_finishes_the_job_that_runs(lab: Lab, home: UUID, jobs_config: Config):
    lab.install(SLOW)
    redis = lab.runtime.redis

    async def begun() -> bool:
        return await redis.llen(STARTED) == 1

    job_id = await lab.enqueue(home, SLOW, 1)
    async with process(jobs_config, slow_worker(jobs_config)) as worker:
        await until(begun, what="the worker was in the middle of the job")
        worker.send_signal(signal.SIGTERM)
        await redis.rpush(GO, 1)
        assert await asyncio.wait_for(worker.wait(), 30) == 0
    row = await lab.row(job_id)
    assert (row["state"], row["attempts"]) == ("succeeded", 1)


@pytest.mark.parametrize("command", ["worker", "scheduler"])
async def test_the_command_becomes_ready_and_stops_cleanly(lab: Lab, jobs_config: Config, command: str):
    async with process(jobs_config, ["-m", "pegboard", command]) as running:
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), 30) == 0


async def test_the_two_commands_together_fire_a_schedule_and_run_its_job(lab: Lab, home: UUID, jobs_config: Config):
    """The kernel's own schedule, made due."""
    lab.enable(kernel_plugin())
    now = await lab.pool.fetchval("SELECT now()")
    names = await sync_schedules(lab.pool, lab.runtime.registry, now)
    assert names
    await lab.pool.execute(
        "UPDATE kernel_schedules SET next_at = now() - interval '1 minute' WHERE name = $1", names[0]
    )
    worker = process(jobs_config, ["-m", "pegboard", "worker"])
    scheduler = process(jobs_config, ["-m", "pegboard", "scheduler"])
    async with worker, scheduler:
        await until(lambda: lab.finished(home, 1), what="the schedule's job ran")
    assert await lab.states(home) == {names[0]: "succeeded"}
