"""`pegboard plugins disable`."""

import click

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option
from pegboard.cli.plugins._planning import show_plan
from pegboard.cli.plugins._toggling import cascade_option, dry_run_option, toggle

__all__ = ("command",)


@click.command("disable")
@click.argument("name")
@cascade_option
@dry_run_option
@click.option("--no-wait", is_flag=True, help="Don't wait until no process runs it any more.")
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str, cascade: bool, dry_run: bool, no_wait: bool, as_json: bool) -> None:
    """Turn a plugin off: its routes go, its jobs wait, its data stays.

    Where others need it, they are named; `--cascade` turns them off with it, all in one step.

    \b
    Examples:
      pegboard plugins disable finance
      pegboard plugins disable finance --dry-run
    """
    if dry_run:
        show_plan(cli, disable=name, cascade=cascade, as_json=as_json)
    else:
        toggle(cli, name, False, wait=not no_wait, as_json=as_json, cascade=cascade)
