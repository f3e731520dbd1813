"""`pegboard plugins verify-receipt`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, run

if TYPE_CHECKING:
    from pegboard.plugins.removal.verification import Verification

__all__ = ("command",)


@click.command("verify-receipt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def command(cli: CommandLine, file: Path, as_json: bool) -> None:
    """Check that a receipt is this platform's and nobody changed it; and, where it lies beside an export, that the
    export's files are those that it tells of. Exit status 2 where something is wrong.

    \b
    Example:
      pegboard plugins verify-receipt ./hello-data/receipt.json
    """
    found = run(_verify(cli, file))
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif found.signed is not None:
        one = found.signed.receipt
        click.echo(f"{one.plugin} {one.version}: {one.action} at {one.at:%Y-%m-%d %H:%M:%S}, receipt {one.id}")
        click.echo(f"the signature is right; {found.files} files are as they were exported")
    for problem in found.problems:
        click.echo(f"pegboard: {problem}", err=True)
    if found.problems:
        raise SystemExit(2)


async def _verify(cli: CommandLine, file: Path) -> "Verification":
    from pegboard.identity.keys import KeyRing
    from pegboard.plugins.removal.verification import verify

    async with open_runtime(cli) as runtime:
        return await verify(KeyRing(runtime.database, runtime.vault), file)
