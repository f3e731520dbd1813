"""`pegboard jobs`: look at jobs, and run dead ones again."""

from datetime import datetime
from typing import Any
from uuid import UUID

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.jobs.schemas import JobDetail, JobSummary
from pegboard.jobs.states import STATES


@click.group("jobs")
def command() -> None:
    """Look at the jobs of all tenants, and run dead ones again.

    \b
    Example:
      pegboard jobs list --state dead
    """


@command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--name", help="Only jobs of this name, such as finance.settle; of an event: <event>/<handler>.")
@click.option("--plugin", help="Only jobs of this plugin.")
@click.option("--tenant", type=click.UUID, help="Only jobs of the tenant with this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def list_command(cli: CommandLine, as_json: bool, tenant: UUID | None, **filters: Any) -> None:
    """List jobs, newest first.

    \b
    Examples:
      pegboard jobs list --state dead --plugin finance
      pegboard jobs list --limit 100 --json
    """
    found = run(_list(cli, tenant_id=tenant, **filters))
    if as_json:
        click.echo(msgspec.json.encode({"items": found}))
        return
    for job in found:
        error = f"  {job.error.splitlines()[0][:100]}" if job.error else ""
        tries = f"{job.attempts}/{job.max_attempts}"
        click.echo(f"{job.id}  {_time(job.created_at)}  {job.state:<9}  {tries:>5}  {job.name}{error}")
    if not found:
        click.echo("no jobs", err=True)


@command.command("show")
@click.argument("job_id", type=click.UUID, metavar="ID")
@json_option
@click.pass_obj
def show(cli: CommandLine, job_id: UUID, as_json: bool) -> None:
    """Show one job with its payload and its last error.

    \b
    Example:
      pegboard jobs show 019a7f3e-0000-7000-8000-000000000001
    """
    _show(run(_get(cli, job_id)), as_json)


@command.command("redrive")
@click.argument("job_id", type=click.UUID, metavar="ID")
@json_option
@click.pass_obj
def redrive(cli: CommandLine, job_id: UUID, as_json: bool) -> None:
    """Run a dead job again, with all its attempts. It is audited in the default tenant.

    \b
    Example:
      pegboard jobs redrive 019a7f3e-0000-7000-8000-000000000001
    """
    _show(run(_redrive(cli, job_id)), as_json)


async def _list(cli: CommandLine, **filters: Any) -> list[JobSummary]:
    from pegboard.jobs.repository import find_job_page

    async with open_runtime(cli) as runtime:
        return await find_job_page(runtime.database.system, **filters)


async def _get(cli: CommandLine, job_id: UUID) -> JobDetail:
    from pegboard.jobs.errors import JobNotFound
    from pegboard.jobs.repository import find_job

    async with open_runtime(cli) as runtime:
        job = await find_job(runtime.database.system, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


async def _redrive(cli: CommandLine, job_id: UUID) -> JobDetail:
    from pegboard.jobs.service import JobService
    from pegboard.work import WorkContext

    async with open_runtime(cli) as runtime:
        operator = await operator_of(runtime, "default")
        return await JobService(WorkContext(runtime, runtime.registry, operator, new_id().hex)).redrive(job_id)


def _show(job: JobDetail, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(job))
        return
    for name, value in msgspec.structs.asdict(job).items():
        if value is not None:
            shown = _time(value) if isinstance(value, datetime) else value
            shown = msgspec.json.encode(shown).decode() if isinstance(shown, dict | list) else shown
            click.echo(f"{name:<13} {shown}")


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
