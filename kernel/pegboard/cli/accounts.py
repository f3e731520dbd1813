"""`pegboard accounts`: make accounts, list them, give and take roles, log them out, reset their second factors."""

import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run, tenant_option
from pegboard.factors.enrolment import EnrolmentService
from pegboard.identity.accounts import AccountService
from pegboard.identity.schemas import Account, Register
from pegboard.work import Work, transact

__all__ = ("command",)


@click.group("accounts")
def command() -> None:
    """Make accounts, list them, give and take roles, log them out, reset their second factors.

    \b
    Example:
      pegboard accounts grant ada@example.com administrator
    """


@command.command("create")
@click.argument("email")
@click.option("--name", required=True, help="The name that others see.")
@click.option("--role", "roles", multiple=True, help="A role besides member; repeat it for several.")
@click.option("--generate", is_flag=True, help="Make a password and print it once.")
@tenant_option
@json_option
@click.pass_obj
def create(
    cli: CommandLine, email: str, name: str, roles: tuple[str, ...], generate: bool, tenant: str, as_json: bool
) -> None:
    """Make an account. The password is asked for, or read from standard input where that is no terminal.

    \b
    Examples:
      pegboard accounts create ada@example.com --name Ada --role administrator
      pegboard accounts create bot@example.com --name Bot --generate --json
    """
    password = secrets.token_urlsafe(18) if generate else _read_password()
    try:
        data = msgspec.convert({"email": email, "password": password, "display_name": name}, Register)
    except msgspec.ValidationError as error:
        raise CommandError(str(error)) from error
    account = run(_create(cli, data, roles, tenant))
    if as_json:
        shown = msgspec.to_builtins(account) | ({"password": password} if generate else {})
        click.echo(msgspec.json.encode(shown))
        return
    click.echo(_line(account))
    if generate:
        click.echo(f"password {password}")


@command.command("list")
@click.option("--email", help="Only the account with this address.")
@tenant_option
@json_option
@click.pass_obj
def list_accounts(cli: CommandLine, email: str | None, tenant: str, as_json: bool) -> None:
    """List a marketplace's accounts, newest first.

    \b
    Example:
      pegboard accounts list --json
    """
    accounts = run(_list(cli, email, tenant))
    if as_json:
        click.echo(msgspec.json.encode({"accounts": accounts}))
        return
    for account in accounts:
        click.echo(_line(account))
    if not accounts:
        click.echo("no accounts")


@command.command("grant")
@click.argument("email")
@click.argument("roles", nargs=-1, required=True)
@tenant_option
@json_option
@click.pass_obj
def grant(cli: CommandLine, email: str, roles: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Give an account roles. They count from its next log-in or token refresh on.

    \b
    Example:
      pegboard accounts grant ada@example.com administrator
    """
    _show(run(_change(cli, email, tenant, lambda current: current | set(roles))), as_json)


@command.command("revoke")
@click.argument("email")
@click.argument("roles", nargs=-1, required=True)
@tenant_option
@json_option
@click.pass_obj
def revoke(cli: CommandLine, email: str, roles: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Take roles from an account, and end its sessions.

    \b
    Example:
      pegboard accounts revoke ada@example.com administrator
    """
    _show(run(_change(cli, email, tenant, lambda current: current - set(roles))), as_json)


@command.command("log-out")
@click.argument("email")
@tenant_option
@json_option
@click.pass_obj
def log_out(cli: CommandLine, email: str, tenant: str, as_json: bool) -> None:
    """Log an account out everywhere. It can log in again. API keys and clients stay.

    \b
    Example:
      pegboard accounts log-out ada@example.com
    """
    _show(run(_log_out(cli, email, tenant)), as_json)


@command.command("reset-factors")
@click.argument("email")
@tenant_option
@json_option
@click.pass_obj
def reset_factors(cli: CommandLine, email: str, tenant: str, as_json: bool) -> None:
    """Remove all second factors of who has lost theirs, and log them out everywhere. They are told by mail.

    Be sure that it is them who asks. Their password stays.

    \b
    Example:
      pegboard accounts reset-factors ada@example.com
    """
    _show(run(_reset_factors(cli, email, tenant)), as_json)


async def _reset_factors(cli: CommandLine, email: str, tenant: str) -> Account:
    async with _service(cli, tenant) as (service, work), work() as uow:
        account = await service.find(uow, email)
        await EnrolmentService(uow).reset(account.id)
        return account


async def _log_out(cli: CommandLine, email: str, tenant: str) -> Account:
    async with _service(cli, tenant, plugins=False) as (service, work), work() as uow:
        account = await service.find(uow, email)
        await service.log_out(uow, account.id)
        return account


async def _create(cli: CommandLine, data: Register, roles: tuple[str, ...], tenant: str) -> Account:
    async with _service(cli, tenant) as (service, work):
        email, password_hash = await service.prepare(email=data.email, password=data.password)
        async with work() as uow:
            return await service.create(
                uow, email=email, password_hash=password_hash, display_name=data.display_name, roles=roles
            )


async def _list(cli: CommandLine, email: str | None, tenant: str) -> list[Account]:
    accounts: list[Account] = []
    async with _service(cli, tenant, plugins=False) as (service, work), work() as uow:
        cursor: str | None = None
        while True:
            page = await service.list(uow, limit=1000, cursor=cursor, email=email)
            accounts += page.items
            cursor = page.next_cursor
            if cursor is None:
                return accounts


async def _change(cli: CommandLine, email: str, tenant: str, change: Callable[[set[str]], set[str]]) -> Account:
    async with _service(cli, tenant) as (service, work), work() as uow:
        account = await service.find(uow, email)
        return await service.set_roles(uow, account.id, sorted(change(set(account.roles))))


@asynccontextmanager
async def _service(
    cli: CommandLine, tenant: str, *, plugins: bool = True
) -> AsyncIterator[tuple[AccountService, Callable[[], AbstractAsyncContextManager[Work]]]]:
    async with open_runtime(cli, plugins=plugins) as runtime:
        principal = await operator_of(runtime, tenant)
        yield AccountService(runtime), lambda: transact(runtime, runtime.registry, principal, new_id().hex)


def _read_password() -> str:
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("no password came on standard input: pipe one in, or use --generate")
    return password


def _show(account: Account, as_json: bool) -> None:
    click.echo(msgspec.json.encode(account) if as_json else _line(account))


def _line(account: Account) -> str:
    return f"{account.id} {account.email or account.display_name} {account.status} {','.join(account.roles)}"
