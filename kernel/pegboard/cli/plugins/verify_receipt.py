"""`pegboard plugins verify-receipt`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, run
from pegboard.wording import counted

if TYPE_CHECKING:
    from pegboard.plugins.removal.receipts import PluginReceipt
    from pegboard.plugins.removal.verification import Verification

__all__ = ("command",)


@click.command("verify-receipt")
@click.argument("path", metavar="FILE_OR_DIR", type=click.Path(exists=True, path_type=Path))
@json_option
@click.pass_obj
def command(cli: CommandLine, path: Path, as_json: bool) -> None:
    """Check that a receipt is this platform's and nobody changed it; and, where it lies beside an export, that the
    export's files are those that it tells of. Of an export's folder all receipts are checked, and that it holds all its
    files and no others. Exit status 2 where something is wrong.

    \b
    Examples:
      pegboard plugins verify-receipt ./hello-data
      pegboard plugins verify-receipt ./hello-data/receipt.json
    """
    found = run(_verify(cli, path))
    if as_json:
        click.echo(msgspec.json.encode({"receipts": found} if path.is_dir() else found[0]))
    for one in found:
        if not as_json and one.signed is not None:
            _tell(one.signed.receipt, one.files)
        for problem in one.problems:
            click.echo(f"pegboard: {problem}", err=True)
    if any(one.problems for one in found):
        raise SystemExit(2)


def _tell(one: "PluginReceipt", files: int) -> None:
    click.echo(f"{one.plugin} {one.version}: {one.action} at {one.at:%Y-%m-%d %H:%M:%S}, receipt {one.id}")
    verb = "is as it was" if files == 1 else "are as they were"
    click.echo(f"the signature is right; {counted(files, 'file')} {verb} exported")


async def _verify(cli: CommandLine, path: Path) -> "list[Verification]":
    from pegboard.identity.keys import KeyRing
    from pegboard.plugins.removal.verification import receipts_in, verify

    receipts = await asyncio.to_thread(receipts_in, path)
    async with open_runtime(cli) as runtime:
        keys = KeyRing(runtime.database, runtime.vault)
        return [await verify(keys, receipt, whole=receipt != path) for receipt in receipts]
