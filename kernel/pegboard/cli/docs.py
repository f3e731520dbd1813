"""`pegboard docs`: the reference, written from the code."""

from pathlib import Path

import click

from pegboard.cli import CommandError
from pegboard.paths import project_root


@click.group("docs")
def command() -> None:
    """Write the reference of Pegboard and its built-in plugins.

    \b
    Example:
      pegboard docs build
    """


@command.command("build")
@click.argument("folder", metavar="[PATH]", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--check", is_flag=True, help="Write nothing; name the files that differ, with exit status 1 if any do.")
@click.pass_context
def build(ctx: click.Context, folder: Path | None, check: bool) -> None:
    """Write hooks, settings, permissions, events, HTTP operations, commands and configuration, a page each, into the
    folder PATH, or into docs/reference of the checkout or of the current folder, and the rules for plugins into docs/.
    It needs no database and no configuration.

    \b
    Examples:
      pegboard docs build
      pegboard docs build --check docs/reference
    """
    from pegboard.reference.build import make_guides, make_pages, stale_pages, write_pages

    docs = (project_root() or Path()) / "docs"
    pages = {folder or docs / "reference": make_pages(ctx.find_root().command)}
    if folder is None:
        pages[docs] = make_guides()
    stale: list[Path] = []
    for where, several in pages.items():
        try:
            stale += [where / name for name in (stale_pages if check else write_pages)(where, several)]
        except OSError as error:
            raise CommandError(f"{where} can't be used: {error.strerror}") from error
    for path in stale:
        why = "is not what the code says: run `pegboard docs build`" if check else "written"
        click.echo(f"{_shown(path)}: {why}", err=check)
    if not stale:
        click.echo(f"{_shown(folder or docs / 'reference')}: up to date")
    elif check:
        ctx.exit(1)


def _shown(path: Path) -> str:
    """The path from where we are, if it is below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
