"""`pegboard plugins pin`."""

import click

from pegboard.cli import CommandLine
from pegboard.cli.plugins._decisions import edit, installed_hash, installed_plugin

__all__ = ("command",)


@click.command("pin")
@click.argument("name")
@click.pass_obj
def command(cli: CommandLine, name: str) -> None:
    """Load a plugin only while its files are as they are installed now: other files are blocked before any of their
    code runs. Processes check when they start and when plugins change.

    \b
    Example:
      pegboard plugins pin finance
    """
    candidate = installed_plugin(name)
    pin = installed_hash(candidate)
    edit(cli, name, lambda _: {"pin": pin})
    click.echo(f"{name} {candidate.manifest.version} is pinned to {pin}")
