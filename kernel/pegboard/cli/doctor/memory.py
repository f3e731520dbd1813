"""`pegboard doctor memory`."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, run

if TYPE_CHECKING:
    from pegboard.isolation.memory_looks import MemoryLook

__all__ = ("command",)

POLL = 0.25


@click.command("memory")
@click.option(
    "--seconds", type=click.FloatRange(1, 60), default=10, show_default=True, help="How long to look, 60 at most."
)
@json_option
@click.pass_obj
def command(cli: CommandLine, as_json: bool, seconds: float) -> None:
    """Find out which plugin's code holds the memory that the running processes allocate.

    Every process traces what it allocates for some seconds, in which it is slower, and then tells what of it is still
    held. It is attributed to the innermost code of a plugin that led to it, else to the kernel or to libraries.

    \b
    Example:
      pegboard doctor memory --seconds 30
    """
    found = run(_look(cli, seconds))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for report in found.reports:
        click.echo(f"{report.kind} {report.pid} on {report.node}")
        if report.error is not None:
            click.echo(f"  {report.error}")
        for owner in report.owners:
            click.echo(f"  {owner.owner:<20} {_size(owner.bytes):>10}  {owner.blocks:>9} blocks")
            for line in owner.lines:
                click.echo(f"    {_size(line.bytes):>10}  {line.where}")
    if found.missing:
        click.echo(f"{found.missing} of the processes did not report in time", err=True)


async def _look(cli: CommandLine, seconds: float) -> "MemoryLook":
    from pegboard.isolation.memory_looks import begin_look, read_look

    async with open_runtime(cli) as runtime:
        async with runtime.database.system_transaction() as connection:
            look_id = await begin_look(connection, seconds, None)
            look = await read_look(connection, look_id)
        if not look.missing:
            raise CommandError("no process of the platform runs: start it with `pegboard up`")
        click.echo(f"looking for {seconds:g} s at {look.missing} processes", err=True)
        while not look.done:
            await asyncio.sleep(POLL)
            async with runtime.database.system_reader() as connection:
                look = await read_look(connection, look_id)
        return look


def _size(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1_048_576:.1f} MiB" if count >= 1_048_576 else f"{count / 1024:.1f} KiB"
