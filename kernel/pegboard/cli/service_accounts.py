"""`pegboard service-accounts`: accounts of programs, and what they authenticate with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

import click
import msgspec
from pegboard_sdk.errors import NotFound
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run, tenant_option
from pegboard.machines.permissions import CREDENTIAL_CREATE, CREDENTIAL_REVOKE, SERVICE_ACCOUNT_LIST
from pegboard.machines.schemas import Credential, NewCredential, NewServiceAccount, ServiceAccount, ShownCredential
from pegboard.machines.service import CredentialService, ServiceAccountService
from pegboard.work import Work, transact

__all__ = ("command",)

T = TypeVar("T", bound=msgspec.Struct)
_PAGE = 100


@click.group("service-accounts")
def command() -> None:
    """Make accounts for programs, and keys and OAuth client secrets for them.

    \b
    Example:
      pegboard service-accounts create Warehouse --role administrator
      pegboard service-accounts key Warehouse --label deploy --scope account:account.list
    """


@command.command("create")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role besides member; repeat it for several.")
@tenant_option
@json_option
@click.pass_obj
def create(cli: CommandLine, name: str, roles: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Make a service account. Nobody can log in to it.

    \b
    Example:
      pegboard service-accounts create Warehouse --role administrator
    """
    data = _read({"name": name, "roles": roles}, NewServiceAccount)
    account = run(_create(cli, data, tenant))
    click.echo(msgspec.json.encode(account) if as_json else _account_line(account))


@command.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_accounts(cli: CommandLine, tenant: str, as_json: bool) -> None:
    """List a marketplace's service accounts, newest first.

    \b
    Example:
      pegboard service-accounts list --json
    """
    accounts = run(_list(cli, tenant))
    if as_json:
        click.echo(msgspec.json.encode({"service_accounts": accounts}))
        return
    for account in accounts:
        click.echo(_account_line(account))
    if not accounts:
        click.echo("no service accounts")


@command.command("key")
@click.argument("name")
@click.option("--label", required=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, required=True, help="A permission; repeat it for several.")
@click.option("--client-secret", is_flag=True, help="A secret for the token endpoint instead of an API key.")
@click.option("--expires-in", type=click.IntRange(min=60), help="Seconds. Default: auth.key_ttl.")
@tenant_option
@json_option
@click.pass_obj
def make_key(
    cli: CommandLine,
    name: str,
    label: str,
    scopes: tuple[str, ...],
    client_secret: bool,
    expires_in: int | None,
    tenant: str,
    as_json: bool,
) -> None:
    """Make an API key or a client secret of a service account, and print it: it is never shown again.

    \b
    Example:
      pegboard service-accounts key Warehouse --label deploy --scope account:account.list
    """
    kind = "client_secret" if client_secret else "api_key"
    fields = {"kind": kind, "label": label, "scopes": scopes, "expires_in": expires_in}
    made = run(_make_key(cli, name, _read(fields, NewCredential), tenant))
    if as_json:
        click.echo(msgspec.json.encode(made))
        return
    click.echo(_credential_line(made))
    click.echo(f"secret {made.secret}")


@command.command("keys")
@click.argument("name")
@tenant_option
@json_option
@click.pass_obj
def list_keys(cli: CommandLine, name: str, tenant: str, as_json: bool) -> None:
    """List what a service account authenticates with, newest first.

    \b
    Example:
      pegboard service-accounts keys Warehouse
    """
    credentials = run(_list_keys(cli, name, tenant))
    if as_json:
        click.echo(msgspec.json.encode({"credentials": credentials}))
        return
    for credential in credentials:
        click.echo(_credential_line(credential))
    if not credentials:
        click.echo("no credentials")


@command.command("revoke")
@click.argument("name")
@click.argument("credential", type=click.UUID)
@tenant_option
@click.pass_obj
def revoke(cli: CommandLine, name: str, credential: UUID, tenant: str) -> None:
    """End a key or secret of a service account, by its id, and the tokens that were given for it.

    \b
    Example:
      pegboard service-accounts revoke Warehouse 019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b
    """
    run(_revoke(cli, name, credential, tenant))
    click.echo(f"{credential} revoked")


async def _create(cli: CommandLine, data: NewServiceAccount, tenant: str) -> ServiceAccount:
    async with _work(cli, tenant) as work:
        return await ServiceAccountService(work).create(data)


async def _list(cli: CommandLine, tenant: str) -> list[ServiceAccount]:
    async with _work(cli, tenant, plugins=False) as work:
        return await _all(work)


async def _make_key(cli: CommandLine, name: str, data: NewCredential, tenant: str) -> ShownCredential:
    async with _work(cli, tenant) as work:
        account = await _find(work, name)
        return await CredentialService(work, action=CREDENTIAL_CREATE).create(account.id, data, service=True)


async def _list_keys(cli: CommandLine, name: str, tenant: str) -> list[Credential]:
    async with _work(cli, tenant, plugins=False) as work:
        account = await _find(work, name)
        service = CredentialService(work, action=SERVICE_ACCOUNT_LIST)
        found: list[Credential] = []
        cursor: str | None = None
        while True:
            page = await service.list(account.id, limit=_PAGE, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found


async def _revoke(cli: CommandLine, name: str, credential_id: UUID, tenant: str) -> None:
    async with _work(cli, tenant, plugins=False) as work:
        account = await _find(work, name)
        await CredentialService(work, action=CREDENTIAL_REVOKE).revoke(account.id, credential_id)


async def _find(work: Work, name: str) -> ServiceAccount:
    for account in await _all(work):
        if account.name.lower() == name.strip().lower():
            return account
    raise NotFound(f"There is no service account {name}: see `pegboard service-accounts list`.")


async def _all(work: Work) -> list[ServiceAccount]:
    accounts: list[ServiceAccount] = []
    cursor: str | None = None
    while True:
        page = await ServiceAccountService(work).list(limit=_PAGE, cursor=cursor)
        accounts += page.items
        cursor = page.next_cursor
        if cursor is None:
            return accounts


@asynccontextmanager
async def _work(cli: CommandLine, tenant: str, *, plugins: bool = True) -> AsyncIterator[Work]:
    async with open_runtime(cli, plugins=plugins) as runtime:
        principal = await operator_of(runtime, tenant)
        async with transact(runtime, runtime.registry, principal, new_id().hex) as work:
            yield work


def _read(fields: dict[str, object], type: type[T]) -> T:
    try:
        return msgspec.convert(fields, type)
    except msgspec.ValidationError as error:
        raise CommandError(str(error)) from error


def _account_line(account: ServiceAccount) -> str:
    return f"{account.id} {account.name} {account.status} {','.join(account.roles)}"


def _credential_line(credential: Credential) -> str:
    return (
        f"{credential.id} {credential.kind} {credential.public_id} {credential.state} {credential.label}"
        f" until {credential.expires_at:%Y-%m-%d %H:%M:%S} {','.join(credential.scopes)}"
    )
