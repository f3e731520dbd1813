"""`pegboard plugins new`."""

import shlex
from pathlib import Path

import click

from pegboard.cli import CommandError

__all__ = ("command",)

_NEXT = """\
Made {folder}: {count} files.

What next, in the environment that Pegboard is installed in:

  cd {folder}
  python -m pip install --editable ".[dev]"
  python -m pytest                      # on a PostgreSQL and a Valkey of their own
  pegboard plugins check .              # by the rules of plugins
  pegboard plugins enable {name}   # where your plugins.toml is

Then read README.md, and replace the notes by what your plugin is about."""


@click.command("new")
@click.argument("name")
@click.option(
    "--path", type=click.Path(path_type=Path), metavar="DIR", help="The project's folder. Default: ./pegboard-NAME."
)
@click.option("--summary", default="", metavar="TEXT", help="What it will do, in a sentence.")
@click.option("--author", default="", metavar="TEXT", help="Who holds the copyright.")
@click.option(
    "--licence",
    default="Apache-2.0",
    show_default=True,
    metavar="SPDX",
    help="Apache-2.0, MIT or LicenseRef-Proprietary.",
)
def command(name: str, path: Path | None, summary: str, author: str, licence: str) -> None:
    """Make a project for a new plugin: one that works, with routes, a table, an event, a job, tests and a workflow.

    NAME is the plugin's for ever: it prefixes its tables, permissions, events, jobs and routes. It is in snake_case,
    with at most 32 characters. Nothing is installed, switched on or run; the folder must not exist or be empty.

    \b
    Examples:
      pegboard plugins new reviews
      pegboard plugins new order_reviews --path ./reviews --summary "Reviews of finished orders." --licence MIT
    """
    from pegboard.scaffold.request import ScaffoldError, ScaffoldRequest
    from pegboard.scaffold.write import write_project

    request = ScaffoldRequest(name=name, summary=summary, author=author, licence=licence)
    folder = path or Path(request.distribution)
    try:
        files = write_project(request, folder)
    except ScaffoldError as error:
        raise CommandError(str(error)) from error
    click.echo(_NEXT.format(folder=shlex.quote(str(folder)), count=len(files), name=name))
