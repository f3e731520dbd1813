"""`pegboard plugins enable`."""

import click

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option
from pegboard.cli.plugins._planning import show_plan
from pegboard.cli.plugins._toggling import cascade_option, dry_run_option, toggle

__all__ = ("command",)


@click.command("enable")
@click.argument("name")
@cascade_option
@dry_run_option
@click.option("--no-wait", is_flag=True, help="Don't wait until all processes run it.")
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str, cascade: bool, dry_run: bool, no_wait: bool, as_json: bool) -> None:
    """Turn a plugin on: in plugins.toml, and in the platform if it runs, without a restart.

    Its migrations run first. New code of a plugin that was on before needs the processes restarted one after the other.
    Where it needs others that are off, they are named; `--cascade` turns them on with it, all in one step.

    \b
    Examples:
      pegboard plugins enable finance
      pegboard plugins enable finance --dry-run
    """
    if dry_run:
        show_plan(cli, enable=name, cascade=cascade, as_json=as_json)
    else:
        toggle(cli, name, True, wait=not no_wait, as_json=as_json, cascade=cascade)
