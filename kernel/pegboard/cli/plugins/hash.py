"""`pegboard plugins hash`."""

import click

from pegboard.cli.plugins._decisions import installed_hash, installed_plugin

__all__ = ("command",)


@click.command("hash")
@click.argument("name")
def command(name: str) -> None:
    """Print the hash of an installed plugin's files, as `pin` wants it. None of its code runs.

    \b
    Example:
      pegboard plugins hash finance
    """
    click.echo(installed_hash(installed_plugin(name)))
