"""`pegboard plugins apply`."""

from typing import TYPE_CHECKING
from uuid import UUID

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.cli.plugins._toggling import settled, tell_gone

if TYPE_CHECKING:
    from pegboard.plugins.planning.apply import Applied

__all__ = ("command",)


@click.command("apply")
@click.argument("plan", type=click.UUID)
@click.option("--no-wait", is_flag=True, help="Don't wait until all processes are there.")
@json_option
@click.pass_obj
def command(cli: CommandLine, plan: UUID, no_wait: bool, as_json: bool) -> None:
    """Do what a plan says. It is refused where something has changed since the plan was made, and says what.

    \b
    Example:
      pegboard plugins apply 01990a1e-7b7c-7cc4-8a4b-2f5d2a9c1e77
    """
    applied = run(_apply(cli, plan, wait=not no_wait))
    revision = applied.revision
    if as_json:
        number, state, reason = (
            (None, "active", None) if revision is None else (revision.number, revision.state, revision.reason)
        )
        click.echo(msgspec.json.encode({"plan": plan, "revision": number, "state": state, "reason": reason}))
    tell_gone(applied.gone)
    if revision is not None and revision.state == "failed":
        raise CommandError(f"the plan could not be carried out, and nothing changed: {revision.reason}")
    if as_json:
        return
    if revision is not None:
        click.echo(f"revision {revision.number} is {revision.state}")
    if applied.plan.content.migrations:
        click.echo("the migrations have run")
    if applied.plan.content.restart:
        click.echo(f"now {applied.plan.content.restart}")


async def _apply(cli: CommandLine, plan: UUID, *, wait: bool) -> "Applied":
    from pegboard.plugins.administration import apply_as
    from pegboard.plugins.planning.probe import probe

    config = cli.config()
    async with open_runtime(cli) as runtime:
        operator = await operator_of(runtime, "default")
        applied = await apply_as(runtime, config, operator, plan, probe=probe, origin="cli")
        if applied.revision is None or not wait:
            return applied
        return msgspec.structs.replace(applied, revision=await settled(runtime, config, applied.revision))
