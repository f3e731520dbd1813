"""`pegboard plugins uninstall`."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run

if TYPE_CHECKING:
    from pegboard.plugins.removal.footprint import Footprint
    from pegboard.plugins.removal.receipts import SignedReceipt
    from pegboard.plugins.removal.uninstall import Uninstaller

__all__ = ("command",)


@click.command("uninstall")
@click.argument("name")
@click.option("--keep", is_flag=True, help="Leave the data where they are: they are there when it is installed again.")
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the data into this folder, which must not exist. They also stay in the database, unless --purge.",
)
@click.option("--purge", is_flag=True, help="Drop what the plugin made in the database. With --export: after that.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@click.pass_obj
def command(
    cli: CommandLine, name: str, keep: bool, folder: Path | None, purge: bool, yes: bool, as_json: bool
) -> None:
    """Uninstall a plugin that is off: keep, export or purge its data, with a signed receipt.

    It works as well where the plugin's package is gone already. Everybody's data are meant, of all tenants.

    \b
    Examples:
      pegboard plugins uninstall hello --keep
      pegboard plugins uninstall hello --export ./hello-data --purge
    """
    if keep == (purge or folder is not None):
        raise click.UsageError("Say what becomes of the data: --keep, --export DIR, --purge, or --export DIR --purge.")
    found = run(_look(cli, name))
    _show(found, folder, purge)
    if purge and found.obstacles:
        raise CommandError(f"{name} can't be purged: {'; '.join(found.obstacles)}")
    if not yes:
        if not sys.stdin.isatty():
            raise CommandError("nobody is there to ask: add --yes to go on")
        click.confirm(f"{'Purge' if purge else 'Uninstall'} {name}?", abort=True, err=True)
    receipts = run(_uninstall(cli, name, folder and folder.absolute(), purge))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode({"plugin": name, "receipts": receipts, "package": found.package}))
        return
    for signed in receipts:
        click.echo(f"{_DONE[signed.receipt.action].format(name=name)}: receipt {signed.receipt.id}")
    _show_package(found)


_DONE = {
    "keep": "{name} is uninstalled, and its data are kept",
    "export": "the data of {name} are exported",
    "purge": "{name} is purged",
}


async def _look(cli: CommandLine, name: str) -> "Footprint":
    async with _uninstaller(cli, name) as uninstaller:
        return await uninstaller.look()


async def _uninstall(cli: CommandLine, name: str, folder: Path | None, purge: bool) -> "list[SignedReceipt]":
    async with _uninstaller(cli, name) as uninstaller:
        if folder is None:
            return [await (uninstaller.purge() if purge else uninstaller.keep())]
        if not purge:
            return [await uninstaller.export(folder)]
        # Where an earlier attempt was cut off between the two, it goes on with what that exported.
        exported = await uninstaller.exported_before(folder) or await uninstaller.export(folder)
        return [exported, await uninstaller.purge(exported, folder)]


@contextlib.asynccontextmanager
async def _uninstaller(cli: CommandLine, name: str) -> "AsyncIterator[Uninstaller]":
    from pegboard.plugins.removal.uninstall import Uninstaller

    async with open_runtime(cli) as runtime:
        principal = await operator_of(runtime, "default")
        yield Uninstaller(runtime, cli.config(), name, principal, progress=lambda text: click.echo(text, err=True))


def _show(found: "Footprint", folder: Path | None, purge: bool) -> None:
    """What will happen, on stderr: stdout is for what did."""
    rows = sum(found.tables.values())
    lines = [f"{table}: {count} rows" for table, count in found.tables.items()]
    if folder is not None:
        lines.append(f"{rows} rows are written to {folder}")
    if found.secrets:
        what = "removed" if purge else "kept"
        lines.append(
            f"secrets, {what}{' (the export has their names only)' if folder else ''}: {', '.join(found.secrets)}"
        )
    if purge:
        made = ", ".join(f"{count} {kind}" for kind, count in found.objects.items())
        lines.append(f"dropped: {made or 'nothing'}")
        lines += [f"removed: {count} {kind}" for kind, count in found.rows.items()]
        lines.append(f"others refer to its records {found.references} times: a tombstone stays for each")
        lines += [f"no tombstones for these: {problem}" for problem in found.misdeclared]
        lines += [f"in the way: {obstacle}" for obstacle in found.obstacles]
    else:
        lines.append(f"{rows} rows stay in the database")
    for line in lines:
        click.echo(line, err=True)


def _show_package(found: "Footprint") -> None:
    if found.package.pip is not None:
        click.echo(f"to remove its package: {found.package.pip}")
    elif found.package.distribution:
        click.echo(f"{found.plugin} comes with Pegboard: its code stays, and is off")
    click.echo(f"its settings stay in plugins.toml, under [plugins.{found.plugin}]: remove them if it isn't to return")
