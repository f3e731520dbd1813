"""`pegboard plugins enable`."""

import click

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option
from pegboard.cli.plugins._toggling import toggle

__all__ = ("command",)


@click.command("enable")
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Don't wait until all processes run it.")
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str, no_wait: bool, as_json: bool) -> None:
    """Turn a plugin on: in plugins.toml, and in the platform if it runs, without a restart.

    Its migrations run first. New code of a plugin that was on before needs the processes restarted one after the other.

    \b
    Example:
      pegboard plugins enable finance
    """
    toggle(cli, name, True, wait=not no_wait, as_json=as_json)
