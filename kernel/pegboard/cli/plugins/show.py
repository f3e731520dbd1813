"""`pegboard plugins show`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, run
from pegboard.cli.plugins._overview import plugins_overview

if TYPE_CHECKING:
    from pegboard.plugins.schemas import PluginView

__all__ = ("command",)


@click.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str, as_json: bool) -> None:
    """Show one plugin: what it needs, brings and asks to use.

    \b
    Example:
      pegboard plugins show finance
    """
    plugin = next((one for one in run(plugins_overview(cli)).plugins if one.name == name), None)
    if plugin is None:
        raise CommandError(f"no installed package offers a plugin named {name}: `pegboard plugins list` shows which do")
    if as_json:
        click.echo(msgspec.json.encode(plugin))
    else:
        _show(plugin)


def _show(plugin: "PluginView") -> None:
    routes = [f"{route.method} {route.path}  {route.permission or 'public'}" for route in plugin.routes]
    rows: Sequence[tuple[str, Any]] = (
        ("name", plugin.name),
        ("summary", plugin.summary),
        ("version", plugin.version),
        ("package", plugin.distribution),
        ("state", plugin.state),
        ("reason", plugin.reason),
        ("next", plugin.next),
        ("sdk", plugin.sdk),
        ("requires", [f"{name} {specifier}" for name, specifier in plugin.requires.items()]),
        ("after", [f"{name} {specifier}" for name, specifier in plugin.after.items()]),
        ("permissions", [f"{name}  may {summary}" for name, summary in plugin.permissions.items()]),
        ("events", [f"{name}  {summary}" for name, summary in plugin.events.items()]),
        ("listens to", plugin.listens_to),
        ("jobs", plugin.jobs),
        ("schedules", plugin.schedules),
        ("services", plugin.services),
        ("extends", plugin.extends),
        ("tables", plugin.capabilities.tables),
        ("calls", plugin.capabilities.outbound_hosts),
        ("secrets", plugin.capabilities.secrets),
        ("collects", plugin.capabilities.extensions),
        ("ai spend", "yes" if plugin.capabilities.ai_spend else None),
        ("routes", routes),
    )
    for label, value in rows:
        for line in [value] if isinstance(value, str) else value or ():
            click.echo(f"{label:<12} {line}")
            label = ""
