"""`pegboard mail`: whether mail gets through."""

import click
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import run

__all__ = ("command",)


@click.group("mail")
def command() -> None:
    """See whether mail gets through.

    \b
    Example:
      pegboard mail test ada@example.com
    """


@command.command("test")
@click.argument("address")
@click.pass_obj
def send_test(cli: CommandLine, address: str) -> None:
    """Send a message to an address at once, as [pegboard.mail] says, and tell what the mail server answers.

    \b
    Example:
      pegboard mail test ada@example.com
    """
    run(_send(cli, address))
    click.echo(f"sent to {address}")


async def _send(cli: CommandLine, address: str) -> None:
    from pegboard.identity.credentials import normal_email
    from pegboard.mail.message import Message
    from pegboard.mail.transports import MailNotSent, Refused, transport_of

    message = Message(
        to=normal_email(address),
        kind="test",
        subject="Pegboard: mail gets through",
        text="This message was sent by `pegboard mail test`.\n",
    )
    try:
        await transport_of(cli.config().mail).send(message, new_id())
    except Refused as refused:
        raise CommandError(f"the mail server does not take mail for {address} ({refused.code})") from refused
    except MailNotSent as failed:
        raise CommandError(str(failed)) from failed
