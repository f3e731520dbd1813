"""`pegboard plugins unblock`."""

from typing import TYPE_CHECKING, Any

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.cli.plugins._decisions import edit, written_blocks

if TYPE_CHECKING:
    from pegboard.config.model import PluginEntry

__all__ = ("command",)


@click.command("unblock")
@click.argument("name")
@click.option("--versions", metavar="RANGE", help="Only the block of this range, as it is written. Default: all.")
@click.pass_obj
def command(cli: CommandLine, name: str, versions: str | None) -> None:
    """Load the versions of a plugin again that were blocked.

    \b
    Example:
      pegboard plugins unblock finance
    """

    def without(entry: "PluginEntry | None") -> dict[str, Any]:
        blocks = [] if entry is None else entry.blocked
        left = [one for one in blocks if versions is not None and one.versions != versions]
        if len(left) == len(blocks):
            raise CommandError(f"{name} has no such block")
        return {"blocked": written_blocks(left) or None}

    edit(cli, name, without)
    click.echo(f"{name} is not blocked any more" if versions is None else f"{name} {versions} is not blocked any more")
