"""`pegboard tenants`: the marketplaces of a platform, for its operators."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.identity.accounts import AccountService
from pegboard.identity.credentials import normal_email
from pegboard.tenancy.schemas import Suspension, Tenant, TenantCreate, TenantName
from pegboard.tenancy.tenants import TenantService
from pegboard.work import SteppedWork

__all__ = ("command",)

T = TypeVar("T", bound=msgspec.Struct)

DEFAULT = "default"


@click.group("tenants")
def command() -> None:
    """Make marketplaces, list, rename and suspend them, say which host names lead to them.

    \b
    Example:
      pegboard tenants create acme --name "Acme Market" --administrator ada@acme.example
    """


@command.command("list")
@json_option
@click.pass_obj
def list_tenants(cli: CommandLine, as_json: bool) -> None:
    """List all marketplaces, newest first.

    \b
    Example:
      pegboard tenants list --json
    """
    tenants = run(_list(cli))
    if as_json:
        click.echo(msgspec.json.encode({"tenants": tenants}))
        return
    for tenant in tenants:
        click.echo(_line(tenant))


@command.command("create")
@click.argument("slug")
@click.option("--name", required=True, help="The name that people see.")
@click.option("--administrator", required=True, metavar="EMAIL", help="Who runs it.")
@click.option("--administrator-name", default="Administrator", show_default=True, help="The name that others see.")
@click.option(
    "--generate", is_flag=True, help="Make the administrator's password and print it once; else they are mailed a link."
)
@json_option
@click.pass_obj
def create(
    cli: CommandLine,
    slug: str,
    name: str,
    administrator: str,
    administrator_name: str,
    generate: bool,
    as_json: bool,
) -> None:
    """Make a marketplace and its first administrator.

    \b
    Example:
      pegboard tenants create acme --name "Acme Market" --administrator ada@acme.example
    """
    data = _checked(
        TenantCreate,
        slug=slug,
        name=name,
        administrator_email=administrator,
        administrator_name=administrator_name,
    )
    password = secrets.token_urlsafe(18) if generate else None
    tenant = run(_create(cli, data, password))
    if as_json:
        shown = msgspec.to_builtins(tenant) | ({"password": password} if password else {})
        click.echo(msgspec.json.encode(shown))
        return
    click.echo(_line(tenant))
    click.echo(f"password {password}" if password else f"{administrator} is mailed how to choose a password")


@command.command("rename")
@click.argument("slug")
@click.argument("name")
@json_option
@click.pass_obj
def rename(cli: CommandLine, slug: str, name: str, as_json: bool) -> None:
    """Give a marketplace another name; its short name stays.

    \b
    Example:
      pegboard tenants rename acme "Acme & Sons"
    """
    new = _checked(TenantName, name=name).name
    _show(run(_change(cli, slug, lambda service, one: service.rename(one.id, new, if_match="*"))), as_json)


@command.command("suspend")
@click.argument("slug")
@click.option("--reason", required=True, help="Why: it is kept in the audit trail.")
@json_option
@click.pass_obj
def suspend(cli: CommandLine, slug: str, reason: str, as_json: bool) -> None:
    """Suspend a marketplace: its requests are refused, and its jobs wait.

    \b
    Example:
      pegboard tenants suspend acme --reason "unpaid"
    """
    why = _checked(Suspension, reason=reason).reason
    _show(run(_change(cli, slug, lambda service, one: service.set_status(one.id, "suspended", why))), as_json)


@command.command("resume")
@click.argument("slug")
@json_option
@click.pass_obj
def resume(cli: CommandLine, slug: str, as_json: bool) -> None:
    """Let a suspended marketplace go on where it stopped.

    \b
    Example:
      pegboard tenants resume acme
    """
    _show(run(_change(cli, slug, lambda service, one: service.set_status(one.id, "active"))), as_json)


@command.command("add-host")
@click.argument("slug")
@click.argument("host")
@click.option("--canonical", is_flag=True, help="Links and messages use this one.")
@json_option
@click.pass_obj
def add_host(cli: CommandLine, slug: str, host: str, canonical: bool, as_json: bool) -> None:
    """Have a host name lead to a marketplace.

    \b
    Example:
      pegboard tenants add-host acme market.acme.example
    """
    _show(run(_change(cli, slug, lambda service, one: service.put_host(one.id, host, canonical=canonical))), as_json)


@command.command("remove-host")
@click.argument("slug")
@click.argument("host")
@json_option
@click.pass_obj
def remove_host(cli: CommandLine, slug: str, host: str, as_json: bool) -> None:
    """Have a host name lead nowhere.

    \b
    Example:
      pegboard tenants remove-host acme old.acme.example
    """

    async def remove(service: TenantService, one: Tenant) -> Tenant:
        await service.remove_host(one.id, host)
        return await service.get(one.id)

    _show(run(_change(cli, slug, remove)), as_json)


async def _list(cli: CommandLine) -> list[Tenant]:
    tenants: list[Tenant] = []
    async with _service(cli) as service:
        cursor: str | None = None
        while True:
            page = await service.list(limit=1000, cursor=cursor)
            tenants += page.items
            cursor = page.next_cursor
            if cursor is None:
                return tenants


async def _create(cli: CommandLine, data: TenantCreate, password: str | None) -> Tenant:
    async with _service(cli, plugins=True) as service:
        email, hashed = normal_email(data.administrator_email), None
        if password is not None:
            email, hashed = await AccountService(service.runtime).prepare(email=email, password=password)
        return await service.create(
            slug=data.slug,
            name=data.name,
            email=email,
            display_name=data.administrator_name,
            password_hash=hashed,
        )


async def _change(cli: CommandLine, slug: str, change: Callable[[TenantService, Tenant], Awaitable[Tenant]]) -> Tenant:
    async with _service(cli) as service:
        return await change(service, await service.find(slug))


@asynccontextmanager
async def _service(cli: CommandLine, *, plugins: bool = False) -> AsyncIterator[TenantService]:
    async with open_runtime(cli, plugins=plugins) as runtime:
        principal = await operator_of(runtime, DEFAULT)
        yield TenantService(SteppedWork(runtime, runtime.registry, principal, new_id().hex))


def _checked(type: type[T], **values: str) -> T:
    try:
        return msgspec.convert(values, type)
    except msgspec.ValidationError as error:
        raise CommandError(str(error)) from error


def _show(tenant: Tenant, as_json: bool) -> None:
    click.echo(msgspec.json.encode(tenant) if as_json else _line(tenant))


def _line(tenant: Tenant) -> str:
    hosts = ",".join(one.host for one in tenant.hosts) or "-"
    return f"{tenant.id} {tenant.slug} {tenant.status} {hosts} {tenant.name}"
