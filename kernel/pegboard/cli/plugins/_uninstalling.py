"""What uninstalling says, and carrying out what a plan said of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import open_runtime, operator_of

if TYPE_CHECKING:
    from pegboard.config.model import Config
    from pegboard.plugins.planning.content import Plan
    from pegboard.plugins.removal.receipts import SignedReceipt
    from pegboard.plugins.removal.uninstall import Uninstaller
    from pegboard.runtime import Runtime

__all__ = ("carry_out", "in_order", "look_ahead", "open_uninstaller", "tell_done", "uninstaller_of")

_DONE = {
    "keep": "{name} is uninstalled, and its data are kept",
    "export": "the data of {name} are exported",
    "purge": "{name} is purged",
}


def tell_done(receipts: "Sequence[SignedReceipt]") -> None:
    """Say what was done, a line for each receipt."""
    for signed in receipts:
        done = _DONE[signed.receipt.action].format(name=signed.receipt.plugin)
        click.echo(f"{done}: receipt {signed.receipt.id}")


@asynccontextmanager
async def open_uninstaller(cli: CommandLine, name: str) -> "AsyncIterator[Uninstaller]":
    """The uninstaller of one plugin, as the operator; stderr tells how far it is."""
    async with open_runtime(cli) as runtime:
        yield await uninstaller_of(runtime, cli.config(), name)


async def uninstaller_of(runtime: "Runtime", config: "Config", name: str) -> "Uninstaller":
    """See `open_uninstaller`."""
    from pegboard.plugins.removal.uninstall import Uninstaller

    principal = await operator_of(runtime, "default")
    return Uninstaller(runtime, config, name, principal, progress=lambda text: click.echo(text, err=True))


def in_order(plan: "Plan") -> list[str]:
    """The plugins that the plan uninstalls, those first that need others. It reads manifests."""
    from pegboard.plugins.cascade import loading_order
    from pegboard.plugins.discovery import discover

    manifests = {name: candidate.manifest for name, candidate in discover().candidates.items()}
    return loading_order(plan.action.uninstall, manifests)[::-1]


async def look_ahead(runtime: "Runtime", config: "Config", name: str, plan: "Plan") -> None:
    """Refuse what would end in the middle, before anything changes.

    Raises:
        CommandError: something is in the way of a purge.
        DomainError: nothing of the plugin is there.
    """
    found = await (await uninstaller_of(runtime, config, name)).look(while_on=True)
    if plan.action.data == "purge" and found.obstacles:
        raise CommandError(f"{name} can't be purged, and nothing changed: {'; '.join(found.obstacles)}")


async def carry_out(
    runtime: "Runtime", config: "Config", name: str, plan: "Plan", folder: Path | None
) -> "SignedReceipt":
    """Do with a plugin's data what the plan said, once it is off; gives the receipt.

    Raises:
        CommandError: it can't be done; the message names the command that does the rest.
    """
    from pegboard_sdk.errors import DomainError

    from pegboard.plugins.removal.errors import ExportRefused

    uninstaller = await uninstaller_of(runtime, config, name)
    try:
        if plan.action.data == "purge":
            return await uninstaller.purge()
        return await (uninstaller.keep() if folder is None else uninstaller.export(folder))
    except (DomainError, ExportRefused) as error:
        why = error.detail if isinstance(error, DomainError) else str(error)
        option = f"--export {folder}" if folder is not None else f"--{plan.action.data or 'keep'}"
        raise CommandError(
            f"{name} is off, and not uninstalled: {why} Then run `pegboard plugins uninstall {name} {option}`."
        ) from error
