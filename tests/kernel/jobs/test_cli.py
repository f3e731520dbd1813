"""`pegboard jobs` and `pegboard events`, as an administrator runs them at a shell."""

import asyncio
import os
from uuid import UUID

import msgspec
import pytest
from click.testing import CliRunner, Result
from pegboard.cli import main
from pegboard.config.model import Config
from pegboard_sdk import Job, UnitOfWork, new_id

from tests.kernel.jobs.lab import Lab, Ping
from tests.support.servers import MASTER_KEY


async def fail(_: UnitOfWork, __: Ping) -> None:
    raise ZeroDivisionError("no luck")


BROKEN = Job(name="probe.broken", payload=Ping, run=fail, max_attempts=1)


async def pegboard(config: Config, *arguments: str) -> Result:
    """Run a command, in a thread as it has an event loop of its own."""
    environment = {
        "PEGBOARD_CONFIG": config.path,
        "PEGBOARD_DATABASE__URL": config.database.url.reveal(),
        "PEGBOARD_REDIS__URL": config.redis.url.reveal(),
        "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
    }
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment)


@pytest.fixture
async def dead(lab: Lab, home: UUID) -> UUID:
    """A dead letter."""
    lab.install(BROKEN)
    job_id = await lab.enqueue(home, BROKEN, 7)
    await lab.drain()
    return job_id


async def test_jobs_are_listed_for_people_and_for_programs(lab: Lab, home: UUID, dead: UUID, jobs_config: Config):
    await lab.enqueue(home, BROKEN)
    listed = await pegboard(jobs_config, "jobs", "list", "--state", "dead", "--tenant", str(home))
    assert listed.exit_code == 0
    (line,) = listed.stdout.splitlines()
    assert str(dead) in line
    assert "1/1  probe.broken  ZeroDivisionError: no luck" in line
    as_json = await pegboard(jobs_config, "jobs", "list", "--tenant", str(home), "--plugin", "probe", "--json")
    assert [job["state"] for job in msgspec.json.decode(as_json.stdout)["items"]] == ["queued", "dead"]


async def test_a_job_is_shown(dead: UUID, jobs_config: Config):
    shown = await pegboard(jobs_config, "jobs", "show", str(dead))
    assert shown.exit_code == 0
    assert 'payload       {"n":7}' in shown.stdout
    as_json = await pegboard(jobs_config, "jobs", "show", str(dead), "--json")
    assert msgspec.json.decode(as_json.stdout)["error"] == "ZeroDivisionError: no luck"


async def test_a_dead_job_is_redriven(lab: Lab, dead: UUID, jobs_config: Config):
    redriven = await pegboard(jobs_config, "jobs", "redrive", str(dead))
    assert redriven.exit_code == 0
    assert (await lab.row(dead))["state"] == "queued"
    again = await pegboard(jobs_config, "jobs", "redrive", str(dead))
    assert (again.exit_code, again.stderr) == (
        2,
        "pegboard: The job is queued: only a dead one can be run again.\n",
    )


async def test_a_job_that_is_not_there_is_one_line_and_exit_status_2(lab: Lab, jobs_config: Config):
    missing = new_id()
    for command in ("show", "redrive"):
        result = await pegboard(jobs_config, "jobs", command, str(missing))
        assert (result.exit_code, result.stderr) == (2, f"pegboard: There is no job {missing}.\n")


async def test_events_are_listed_with_whether_they_were_relayed(lab: Lab, home: UUID, jobs_config: Config):
    lab.install()
    await lab.emit(home, 1)
    await lab.drain()
    event_id = await lab.emit(home, 2)
    listed = await pegboard(jobs_config, "events", "list", "--tenant", str(home))
    states = [line.split("  ")[2] for line in listed.stdout.splitlines()]
    assert states == ["waiting", "relayed"]
    waiting = await pegboard(jobs_config, "events", "list", "--waiting", "--name", "probe.pinged", "--json")
    (event,) = msgspec.json.decode(waiting.stdout)["items"]
    assert (event["id"], event["payload"], event["relayed_at"]) == (str(event_id), {"n": 2}, None)


@pytest.mark.parametrize("command", [("worker",), ("scheduler",), ("jobs",), ("jobs", "list"), ("events", "list")])
async def test_each_command_has_help_with_an_example(jobs_config: Config, command: tuple[str, ...]):
    result = await pegboard(jobs_config, *command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
