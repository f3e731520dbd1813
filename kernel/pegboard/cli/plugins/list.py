"""`pegboard plugins list`."""

from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, run
from pegboard.cli.plugins._overview import mixed_versions, plugins_overview

if TYPE_CHECKING:
    from pegboard.plugins.schemas import PluginsOverview

__all__ = ("command",)


@click.command("list")
@json_option
@click.pass_obj
def command(cli: CommandLine, as_json: bool) -> None:
    """List the plugins: whether each is on in the platform's processes, if not, why, and what waits for a restart.

    Where no platform runs, it is what a start would make of plugins.toml and the installed packages.

    \b
    Example:
      pegboard plugins list --json
    """
    found = run(plugins_overview(cli))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    width = max((len(plugin.name) for plugin in found.plugins), default=0)
    for plugin in found.plugins:
        told = plugin.reason if plugin.state != "enabled" else plugin.summary
        click.echo(f"{plugin.name:<{width}}  {plugin.version:<8} {plugin.state:<13} {told}".rstrip())
        if plugin.next is not None:
            click.echo(f"{'':<{width}}  → {plugin.next}")
    if found.source == "files":
        click.echo("no platform is running: this is what plugins.toml and the installed packages say", err=True)
    if not found.plugins:
        click.echo("no plugins are installed", err=True)
    if any(plugin.state == "held_back" for plugin in found.plugins):
        click.echo("safe mode is on: start without it to have the plugins that are held back", err=True)
    _show_revisions(found)


def _show_revisions(found: "PluginsOverview") -> None:
    if found.active is not None:
        click.echo(f"revision {found.active.number} is active", err=True)
    if found.latest is not None and found.latest.state in ("preparing", "failed"):
        why = f": {found.latest.reason}" if found.latest.reason else ""
        click.echo(f"revision {found.latest.number} is {found.latest.state}{why}", err=True)
    for process in found.processes:
        for plugin, state in sorted(process.breakers.items()):
            told = f"the breaker of {plugin} is {state.replace('_', ' ')} in {process.kind} {process.pid}"
            click.echo(f"{told} on {process.node}: its log says why", err=True)
    for told in mixed_versions(found):
        click.echo(told, err=True)
    for told in sorted({text for one in found.processes for text in (one.error, one.conflict) if text}):
        click.echo(told, err=True)
