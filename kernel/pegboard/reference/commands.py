"""The page on the command line."""

from collections.abc import Iterator

import click

from pegboard.reference.markdown import page

__all__ = ("commands_page",)

_WIDTH = 100
_INTRODUCTION = """
Every command says all this itself with `--help`. The global option `--config` comes before the command. What can't be
done is one line on stderr that says what to do next, with exit status 2.

Plugins may bring commands of their own, as `pegboard <plugin> …`.
"""


def commands_page(main: click.Command) -> str:
    """The help of `main` and of every command below it."""
    return page("Command line", _INTRODUCTION, _command(main, None))


def _command(command: click.Command, parent: click.Context | None) -> Iterator[str]:
    # A width of its own: otherwise the help is as wide as the terminal that it is written in.
    name = command.name if parent is not None else "pegboard"
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, **command.context_settings
    )
    if parent is not None:
        yield f"{'#' * min(4, context.command_path.count(' ') + 1)} `{context.command_path}`"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            if below is not None and not below.hidden:
                yield from _command(below, context)
