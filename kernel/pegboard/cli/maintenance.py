"""`pegboard maintenance`: begin it, end it, and see whether it is on."""

from datetime import UTC, datetime, timedelta

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.maintenance.schemas import MESSAGE, Maintenance, MaintenanceBegin
from pegboard.maintenance.service import MaintenanceService

__all__ = ("command",)


@click.group("maintenance")
def command() -> None:
    """Begin and end maintenance: meanwhile people are told that the marketplace will be back.

    \b
    Example:
      pegboard maintenance on --minutes 30 --message "New database. Back at noon."
    """


@command.command("on")
@click.option("--message", default=MESSAGE, show_default=True, help="What people are told.")
@click.option(
    "--minutes", type=click.IntRange(1, 100_000), help="When it is expected to end. It does not end by itself."
)
@click.option("--hold-jobs", is_flag=True, help="Background jobs wait too.")
@json_option
@click.pass_obj
def begin(cli: CommandLine, message: str, minutes: int | None, hold_jobs: bool, as_json: bool) -> None:
    """Begin maintenance, or change what is said of it. Every process keeps to it within a second.

    \b
    Example:
      pegboard maintenance on --minutes 30 --hold-jobs
    """
    until = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
    _show(run(_begin(cli, MaintenanceBegin(message=message, until=until, holds_jobs=hold_jobs))), as_json)


@command.command("off")
@json_option
@click.pass_obj
def end(cli: CommandLine, as_json: bool) -> None:
    """End maintenance.

    \b
    Example:
      pegboard maintenance off
    """
    _show(run(_end(cli)), as_json)


@command.command("status")
@json_option
@click.pass_obj
def status(cli: CommandLine, as_json: bool) -> None:
    """Whether it is on.

    \b
    Example:
      pegboard maintenance status --json
    """
    _show(run(_read(cli)), as_json)


async def _begin(cli: CommandLine, wanted: MaintenanceBegin) -> Maintenance:
    async with open_runtime(cli) as runtime:
        return await MaintenanceService(runtime).begin(await operator_of(runtime, "default"), new_id().hex, wanted)


async def _end(cli: CommandLine) -> Maintenance:
    async with open_runtime(cli) as runtime:
        return await MaintenanceService(runtime).end(await operator_of(runtime, "default"), new_id().hex)


async def _read(cli: CommandLine) -> Maintenance:
    async with open_runtime(cli) as runtime:
        return await MaintenanceService(runtime).read()


def _show(found: Maintenance, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif not found.on:
        click.echo("off")
    else:
        until = f", until about {found.until:%Y-%m-%d %H:%M} UTC" if found.until else ""
        jobs = "; jobs wait" if found.holds_jobs else ""
        click.echo(f"on since {found.since:%Y-%m-%d %H:%M} UTC{until}{jobs}: {found.message}")
