"""Commands that plugins bring: `pegboard <plugin> …`."""

import os
from pathlib import Path

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.paths import config_path

__all__ = ("plugin_commands",)


def plugin_commands(cli: CommandLine, name: str) -> click.Command | None:
    """The commands of the plugin `name`, as a group; None where no plugin has this name.

    Raises:
        ConfigError: the configuration has a mistake.
        CommandError: the plugin is named there and is not on.
    """
    if not (cli.path or config_path(os.environ, Path.cwd())).is_file():
        return None
    config = cli.config()
    if name not in config.plugins:
        return None
    from pegboard.plugins.manager import load_plugins

    registry = load_plugins(config)
    for skipped in registry.skipped:
        if skipped.name == name:
            raise CommandError(f"the plugin {name} is not on: {skipped.reason}")
    (plugin,) = (plugin for plugin in registry.plugins if plugin.name == name)
    if not plugin.commands:
        raise CommandError(f"the plugin {name} has no commands")
    return click.Group(name, commands=list(plugin.commands), help=plugin.manifest.summary)
