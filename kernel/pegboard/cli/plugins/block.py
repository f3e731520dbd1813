"""`pegboard plugins block`."""

import click

from pegboard.cli import CommandError, CommandLine
from pegboard.cli.plugins._decisions import edit, written_blocks

__all__ = ("command",)


@click.command("block")
@click.argument("name")
@click.option("--versions", required=True, metavar="RANGE", help='Such as ">=1.4,<1.4.3".')
@click.option("--reason", required=True, help="Why: whoever meets the block reads it.")
@click.option("--last-good", default="", metavar="VERSION", help="The version to go back to.")
@click.pass_obj
def command(cli: CommandLine, name: str, versions: str, reason: str, last_good: str) -> None:
    """Never load these versions of a plugin: none of their code runs. The plugin need not be installed.

    A process that runs one goes on until it is restarted or plugins change.

    \b
    Example:
      pegboard plugins block finance --versions ">=1.4,<1.4.3" --reason "loses postings" --last-good 1.3.9
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(versions)
    except InvalidSpecifier as error:
        raise CommandError(f'{versions!r} is not a version range: write one such as ">=1.4,<1.4.3"') from error
    if not versions.strip() or not reason.strip():
        raise CommandError("a block needs versions and a reason")
    block = {"versions": versions, "reason": reason} | ({"last_good": last_good} if last_good else {})
    edit(cli, name, lambda entry: {"blocked": [*written_blocks(entry.blocked if entry else []), block]})
    click.echo(f"{name} {versions} is blocked")
