"""`pegboard plugins check-manifests`."""

from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option

if TYPE_CHECKING:
    from pegboard.config.model import Config

__all__ = ("command",)


@click.command("check-manifests")
@json_option
@click.pass_obj
def command(cli: CommandLine, as_json: bool) -> None:
    """Check all installed plugins, also those that are off: the manifests, how they depend on each other, and whether
    the code brings what the manifests say. Exit status 2 where one is wrong.

    \b
    Example:
      pegboard plugins check-manifests
    """
    wrong = _check(cli.config())
    if as_json:
        click.echo(msgspec.json.encode({"ok": not wrong, "problems": wrong}))
    else:
        for name, reason in wrong.items():
            click.echo(f"{name}: {reason}", err=True)
        if not wrong:
            click.echo("ok")
    if wrong:
        raise SystemExit(2)


def _check(config: "Config") -> dict[str, str]:
    """What is wrong, by plugin: as if everything that is installed were on."""
    from pegboard.plugins.discovery import discover
    from pegboard.plugins.manager import load_plugins
    from pegboard.plugins.preparation import reasons
    from pegboard.plugins.wanted import with_plugins

    found = discover()
    everything = msgspec.structs.replace(with_plugins(config, {*found.candidates, *found.broken}), strict=False)
    return dict(sorted(reasons(load_plugins(everything)).items()))
