"""`pegboard doctor`: look into a platform that runs. Every module is one command."""

import click

from pegboard.cli import LazyGroup

__all__ = ("command",)


@click.group("doctor", cls=LazyGroup, package=__name__)
def command() -> None:
    """Look into a platform that runs.

    \b
    Example:
      pegboard doctor memory
    """
