"""`pegboard plugins unpin`."""

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.cli.plugins._decisions import edit

__all__ = ("command",)


@click.command("unpin")
@click.argument("name")
@click.pass_obj
def command(cli: CommandLine, name: str) -> None:
    """Load a plugin whatever its files are.

    \b
    Example:
      pegboard plugins unpin finance
    """
    entry = cli.config().plugins.get(name)
    if entry is None or not entry.pin:
        raise CommandError(f"{name} is not pinned")
    edit(cli, name, lambda _: {"pin": None})
    click.echo(f"{name} is not pinned any more")
