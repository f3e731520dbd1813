"""`pegboard plugins`: which there are, which are on, and turning them on and off. Every module is one command."""

import click

from pegboard.cli import LazyGroup

__all__ = ("command",)


@click.group("plugins", cls=LazyGroup, package=__name__)
def command() -> None:
    """See which plugins there are, and turn them on and off.

    \b
    Examples:
      pegboard plugins list
      pegboard plugins enable finance
    """
