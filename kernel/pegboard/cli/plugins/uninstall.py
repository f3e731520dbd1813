"""`pegboard plugins uninstall`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, run
from pegboard.cli.plugins._uninstalling import open_uninstaller, tell_done
from pegboard.wording import counted

if TYPE_CHECKING:
    from pegboard.plugins.removal.footprint import Footprint
    from pegboard.plugins.removal.receipts import SignedReceipt

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
    tell_done(receipts)
    _show_package(found)


async def _look(cli: CommandLine, name: str) -> "Footprint":
    async with open_uninstaller(cli, name) as uninstaller:
        return await uninstaller.look()


async def _uninstall(cli: CommandLine, name: str, folder: Path | None, purge: bool) -> "list[SignedReceipt]":
    async with open_uninstaller(cli, name) as uninstaller:
        if folder is None:
            return [await (uninstaller.purge() if purge else uninstaller.keep())]
        if not purge:
            return [await uninstaller.export(folder)]
        # Where an earlier attempt was cut off between the two, it goes on with what that exported.
        exported = await uninstaller.exported_before(folder) or await uninstaller.export(folder)
        return [exported, await uninstaller.purge(exported, folder)]


_PLURALS = {"index": "indexes", "policy": "policies"}


def _show(found: "Footprint", folder: Path | None, purge: bool) -> None:
    """What will happen, on stderr: stdout is for what did."""
    rows = sum(found.tables.values())
    lines = [
        f"{table}: {'about ' if table in found.estimated else ''}{counted(count, 'row')}"
        for table, count in found.tables.items()
    ]
    total = f"{'about ' if found.estimated else ''}{counted(rows, 'row')}"
    if folder is not None:
        lines.append(f"to be written to {folder}: {total}")
    if found.secrets:
        what = "removed" if purge else "kept"
        lines.append(
            f"secrets, {what}{' (the export has their names only)' if folder else ''}: {', '.join(found.secrets)}"
        )
    if purge:
        made = ", ".join(counted(count, kind, _PLURALS.get(kind, "")) for kind, count in found.objects.items())
        lines.append(f"dropped: {made or 'nothing'}")
        lines += [f"removed {kind}: {count:,}" for kind, count in found.rows.items()]
        lines.append(f"others refer to its records {counted(found.references, 'time')}: a tombstone stays for each")
        lines += [f"no tombstones for these: {problem}" for problem in found.misdeclared]
        lines += [f"in the way: {obstacle}" for obstacle in found.obstacles]
    else:
        lines.append(f"to stay in the database: {total}")
    for line in lines:
        click.echo(line, err=True)


def _show_package(found: "Footprint") -> None:
    if found.package.pip is not None:
        click.echo(f"to remove its package: {found.package.pip}")
    elif found.package.distribution:
        click.echo(f"{found.plugin} comes with Pegboard: its code stays, and is off")
    click.echo(f"its settings stay in plugins.toml, under [plugins.{found.plugin}]: remove them if it isn't to return")
