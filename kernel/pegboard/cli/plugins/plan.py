"""`pegboard plugins plan`."""

from typing import Any

import click

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option
from pegboard.cli.plugins._planning import show_plan
from pegboard.cli.plugins._toggling import cascade_option

__all__ = ("command",)


@click.group("plan", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show what a change would do, before anything changes; `pegboard plugins apply` does it, within a day.

    Without an action: whatever plugins.toml and the installed packages say otherwise than what runs.

    \b
    Examples:
      pegboard plugins plan
      pegboard plugins plan disable finance --cascade
      pegboard plugins plan upgrade finance
      pegboard plugins plan uninstall finance --purge
    """
    if ctx.invoked_subcommand is None:
        show_plan(ctx.obj, as_json=as_json)


@command.command("enable")
@click.argument("name")
@cascade_option
@json_option
@click.pass_obj
def enable(cli: CommandLine, name: str, cascade: bool, as_json: bool) -> None:
    """Show what turning a plugin on would do."""
    show_plan(cli, enable=name, cascade=cascade, as_json=as_json)


@command.command("disable")
@click.argument("name")
@cascade_option
@json_option
@click.pass_obj
def disable(cli: CommandLine, name: str, cascade: bool, as_json: bool) -> None:
    """Show what turning a plugin off would do."""
    show_plan(cli, disable=name, cascade=cascade, as_json=as_json)


@command.command("upgrade")
@click.argument("name")
@json_option
@click.pass_obj
def upgrade(cli: CommandLine, name: str, as_json: bool) -> None:
    """Show what the installed version would change against the one that runs."""
    show_plan(cli, upgrade=name, as_json=as_json)


@command.command("uninstall")
@click.argument("name")
@click.option("--keep", "data", flag_value="keep", default="keep", help="The data stay. The default.")
@click.option("--export", "data", flag_value="export", help="The data are exported, and stay.")
@click.option("--purge", "data", flag_value="purge", help="The data go.")
@cascade_option
@json_option
@click.pass_obj
def uninstall(cli: CommandLine, name: str, data: Any, cascade: bool, as_json: bool) -> None:
    """Show what uninstalling a plugin would do, and to which data; `pegboard plugins apply` does it, too."""
    show_plan(cli, uninstall=name, data=data, cascade=cascade, as_json=as_json)
