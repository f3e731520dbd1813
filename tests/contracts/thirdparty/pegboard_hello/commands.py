"""Commands: `pegboard hello …`."""

import click

from pegboard_hello.settings import Settings

__all__ = ("preview_command",)


def preview_command(settings: Settings) -> click.Command:
    """`pegboard hello preview`."""

    @click.command("preview")
    def preview() -> None:
        """Show what whoever publishes a gig is told.

        \b
        Example:
          pegboard hello preview
        """
        click.echo(settings.congratulation)

    return preview
