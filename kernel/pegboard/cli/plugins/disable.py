"""`pegboard plugins disable`."""

import click

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option
from pegboard.cli.plugins._toggling import toggle

__all__ = ("command",)


@click.command("disable")
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Don't wait until no process runs it any more.")
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str, no_wait: bool, as_json: bool) -> None:
    """Turn a plugin off: its routes go, its jobs wait, its data stays.

    \b
    Example:
      pegboard plugins disable finance
    """
    toggle(cli, name, False, wait=not no_wait, as_json=as_json)
