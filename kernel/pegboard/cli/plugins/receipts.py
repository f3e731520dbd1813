"""`pegboard plugins receipts`."""

from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, run
from pegboard.wording import counted

if TYPE_CHECKING:
    from pegboard.plugins.removal.receipts import SignedReceipt

__all__ = ("command",)


@click.command("receipts")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str | None, as_json: bool) -> None:
    """List the receipts of uninstalled plugins, or of one, oldest first.

    \b
    Example:
      pegboard plugins receipts hello --json
    """
    found = run(_receipts(cli, name))
    if as_json:
        click.echo(msgspec.json.encode({"receipts": found}))
        return
    for signed in found:
        one = signed.receipt
        rows = counted(sum(one.tables.values()), "row")
        click.echo(f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}  {one.plugin} {one.version}  {one.action}  {rows}")
    if not found:
        click.echo("no receipts", err=True)


async def _receipts(cli: CommandLine, name: str | None) -> "list[SignedReceipt]":
    from pegboard.plugins.removal.receipts import find_receipts

    async with open_runtime(cli) as runtime, runtime.database.system_reader() as connection:
        return await find_receipts(connection, name)
