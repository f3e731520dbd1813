"""`pegboard plugins apply`."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.cli.plugins._toggling import settled, tell_gone
from pegboard.cli.plugins._uninstalling import carry_out, in_order, look_ahead, tell_done

if TYPE_CHECKING:
    from pegboard.config.model import Config
    from pegboard.plugins.planning.apply import Applied
    from pegboard.plugins.planning.content import Plan
    from pegboard.plugins.removal.receipts import SignedReceipt
    from pegboard.runtime import Runtime

__all__ = ("command",)


class _Done(NamedTuple):
    """What came of the plan, and the receipts of what it uninstalled."""

    applied: "Applied"
    receipts: "list[SignedReceipt]"


@click.command("apply")
@click.argument("plan", type=click.UUID)
@click.option("--no-wait", is_flag=True, help="Don't wait until all processes are there.")
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where a plan to uninstall that exports writes the data. The folder must not exist.",
)
@json_option
@click.pass_obj
def command(cli: CommandLine, plan: UUID, no_wait: bool, folder: Path | None, as_json: bool) -> None:
    """Do what a plan says. It is refused where something has changed since the plan was made, and says what.

    A plan to uninstall turns the plugin off first, waits until all processes have let go of it, and then does with its
    data what the plan says. It does not ask: the plan was the question.

    \b
    Examples:
      pegboard plugins apply 01990a1e-7b7c-7cc4-8a4b-2f5d2a9c1e77
      pegboard plugins apply 01990a1e-7b7c-7cc4-8a4b-2f5d2a9c1e77 --export ./hello-data
    """
    applied, receipts = run(_apply(cli, plan, folder and folder.absolute(), wait=not no_wait))
    revision = applied.revision
    if as_json:
        number, state, reason = (
            (None, "active", None) if revision is None else (revision.number, revision.state, revision.reason)
        )
        answer = {"plan": plan, "revision": number, "state": state, "reason": reason, "receipts": receipts}
        click.echo(msgspec.json.encode(answer))
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
    tell_done(receipts)


async def _apply(cli: CommandLine, number: UUID, folder: Path | None, *, wait: bool) -> _Done:
    from pegboard.plugins.administration import apply_as
    from pegboard.plugins.planning.apply import check_plan
    from pegboard.plugins.planning.probe import probe

    config = cli.config()
    async with open_runtime(cli) as runtime:
        operator = await operator_of(runtime, "default")
        plan, _ = await check_plan(runtime.database, config, number)
        names = await asyncio.to_thread(in_order, plan)
        await asyncio.to_thread(_refuse_folder, plan, folder, wait)
        if names:
            await look_ahead(runtime, config, names[0], plan)
        applied = await apply_as(runtime, config, operator, number, probe=probe, origin="cli", uninstalls=True)
        if applied.revision is not None and wait:
            revision = await settled(runtime, config, applied.revision)
            applied = msgspec.structs.replace(applied, revision=revision)
        return _Done(applied, await _uninstall(runtime, cli.config(), applied, names, folder))


def _refuse_folder(plan: "Plan", folder: Path | None, wait: bool) -> None:
    """Refuse what doesn't fit the plan, before anything changes.

    Raises:
        CommandError: a folder where none is written, none where one is, or one that is there.
    """
    exports = bool(plan.action.uninstall) and plan.action.data == "export"
    if exports != (folder is not None):
        where = f"the plan exports data: add --export DIR to `pegboard plugins apply {plan.id}`"
        raise CommandError(where if exports else "the plan exports nothing: leave --export out")
    if folder is not None and len(plan.action.uninstall) > 1:
        raise CommandError("a plan that exports several plugins can't be applied: make one for each")
    if folder is not None and os.path.lexists(folder):
        raise CommandError(f"{folder} is there already: name a folder that isn't")
    if plan.action.uninstall and not wait:
        raise CommandError("data are taken in hand once all processes have let go of them: leave --no-wait out")


async def _uninstall(
    runtime: "Runtime", config: "Config", applied: "Applied", names: list[str], folder: Path | None
) -> "list[SignedReceipt]":
    """What the plan says of data, once the processes have let go of them."""
    revision = applied.revision
    if not names or (revision is not None and revision.state == "failed"):
        return []
    if revision is not None and revision.state != "active":
        raise CommandError(
            f"revision {revision.number} is {revision.state}, so nothing is uninstalled yet: once"
            f" `pegboard plugins list` shows it as off, run `pegboard plugins uninstall` for {', '.join(names)}"
        )
    return [await carry_out(runtime, config, name, applied.plan, folder) for name in names]
