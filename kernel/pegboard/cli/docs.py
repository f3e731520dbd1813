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
    """Write the SDK, hooks, settings, permissions, events, HTTP operations, commands and configuration, a page each,
    into the folder PATH, or into docs/reference of the checkout or of the current folder, and the rules for plugins
    into docs/. It needs no database and no configuration.

    Exit status 1 too where the SDK differs from its last release on record and its version doesn't say so.

    \b
    Examples:
      pegboard docs build
      pegboard docs build --check docs/reference
    """
    from pegboard.reference.api.versions import latest_release, records, version_problems
    from pegboard.reference.build import make_guides, make_pages, stale_pages, write_pages
    from pegboard.reference.sdk import read_sdk

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
    problems = version_problems(latest_release(records()), read_sdk())
    for problem in problems:
        click.echo(f"pegboard: {problem}", err=True)
    if problems or (stale and check):
        ctx.exit(1)


@command.command("record-sdk")
def record_sdk() -> None:
    """Put the SDK's API on record, in docs/reference/sdk-api, when its version is released: from then on whatever
    differs asks for a higher version.

    \b
    Example:
      pegboard docs record-sdk
    """
    from pegboard.reference.api.versions import record_release, records
    from pegboard.reference.sdk import read_sdk

    try:
        file = record_release(records(), read_sdk())
    except ValueError as error:
        raise CommandError(str(error)) from error
    click.echo(f"{_shown(file)}: written")


def _shown(path: Path) -> str:
    """The path from where we are, if it is below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
