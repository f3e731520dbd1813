"""The command line. Every module of this package is one subcommand, or a group of them, and is imported only when that
is run.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import click

from pegboard import __version__
from pegboard.config.errors import ConfigError

__all__ = ("CommandError", "CommandLine", "LazyGroup", "main")


class CommandError(click.ClickException):
    """A command that can't do what was asked: one line on stderr that says what to do next, exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"pegboard: {self.format_message()}", file=file, err=True)


class CommandLine:
    """What the global options say. Commands take it with `@click.pass_obj`."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def config(self) -> Any:
        """The effective configuration, a `pegboard.config.model.Config`.

        Raises:
            ConfigError: it has a mistake; the command line shows it.
        """
        from pegboard.config.load import load_config

        return load_config(self.path)


class LazyGroup(click.Group):
    """A group whose commands are the modules of `package`: `pegboard up` is `command` in `pegboard.cli.up`."""

    def __init__(self, *args: Any, package: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        path = importlib.import_module(self._package).__path__
        return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"{self._package}.{cmd_name.replace('-', '_')}").command


class _Main(LazyGroup):
    """The kernel's commands, then those of plugins."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None:
            from pegboard.cli._plugins import plugin_commands

            return plugin_commands(CommandLine(ctx.params.get("path")), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            more = len(error.others)
            rest = f" (and {more} more: see `pegboard config check`)" if more else ""
            raise CommandError(f"{error}{rest}") from error


@click.group(
    cls=_Main,
    package=__name__,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pegboard", message="%(prog)s %(version)s")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The configuration's file. Default: $PEGBOARD_CONFIG, else ./plugins.toml, else the checkout's.",
)
@click.pass_context
def main(ctx: click.Context, path: Path | None) -> None:
    """A kernel for services marketplaces.

    \b
    Example:
      pegboard up
    """
    ctx.obj = CommandLine(path)
