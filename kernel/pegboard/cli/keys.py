"""`pegboard keys`: the keys that sign access tokens."""

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.identity.key_rotation import LEAD, SigningKeyList, SigningKeyService

__all__ = ("command",)


@click.group("keys")
def command() -> None:
    """List and replace the keys that sign access tokens.

    \b
    Example:
      pegboard keys rotate
    """


@command.command("list")
@json_option
@click.pass_obj
def list_keys(cli: CommandLine, as_json: bool) -> None:
    """List the keys, the newest first: the one that signs, the next, and those that still verify or did.

    \b
    Example:
      pegboard keys list --json
    """
    _show(run(_list(cli)), as_json)


@command.command("rotate")
@click.option(
    "--after",
    type=click.IntRange(300, 604_800),
    default=LEAD,
    show_default=True,
    help="Seconds for which the next key is published before it signs: longer than anybody caches the keys.",
)
@click.option("--compromised", is_flag=True, help="A key has leaked: sign with another now, and refuse what it signed.")
@json_option
@click.pass_obj
def rotate_keys(cli: CommandLine, after: int, compromised: bool, as_json: bool) -> None:
    """Replace the key that signs access tokens. Nobody is logged out, and nothing has to be restarted.

    \b
    Examples:
      pegboard keys rotate
      pegboard keys rotate --compromised
    """
    _show(run(_rotate(cli, after, compromised)), as_json)


async def _list(cli: CommandLine) -> SigningKeyList:
    async with open_runtime(cli) as runtime:
        return await SigningKeyService(runtime).list()


async def _rotate(cli: CommandLine, after: int, compromised: bool) -> SigningKeyList:
    async with open_runtime(cli) as runtime:
        actor = await operator_of(runtime, "default")
        return await SigningKeyService(runtime).rotate(
            actor=actor, request_id=new_id().hex, after=after, compromised=compromised
        )


def _show(keys: SigningKeyList, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(keys))
        return
    for key in keys.items:
        until = f" verifies until {key.verifies_until:%Y-%m-%d %H:%M:%S}" if key.verifies_until else ""
        click.echo(f"{key.kid} {key.state} signs from {key.signs_from:%Y-%m-%d %H:%M:%S}{until}")
