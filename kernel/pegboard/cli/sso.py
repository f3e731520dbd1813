"""`pegboard sso`: the identity providers that people log in by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run, tenant_option
from pegboard.config.model import Config
from pegboard.sso.administration import ProviderAdministration
from pegboard.sso.callback import callback_at
from pegboard.sso.client_secrets import client_proof
from pegboard.sso.errors import ProviderAnswerInvalid
from pegboard.sso.presets import issuer_of
from pegboard.sso.providers import Providers
from pegboard.sso.schemas import AdministeredProvider
from pegboard.work import SteppedWork

__all__ = ("command",)


@click.group("sso")
def command() -> None:
    """See which identity providers people log in by, and whether they answer.

    \b
    Example:
      pegboard sso check google
    """


@command.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_providers(cli: CommandLine, tenant: str, as_json: bool) -> None:
    """List a marketplace's identity providers, and the address that each must know.

    \b
    Example:
      pegboard sso list --tenant acme
    """
    providers = run(_list(cli, tenant))
    if as_json:
        click.echo(msgspec.json.encode({"providers": providers}))
        return
    for one in providers:
        state = "on" if one.settings.enabled else "off"
        click.echo(f"{one.name} {one.settings.preset} {state} {issuer_of(one.settings)} {one.callback_url}")


@command.command("check")
@click.argument("name")
@tenant_option
@click.pass_obj
def check(cli: CommandLine, name: str, tenant: str) -> None:
    """Ask an identity provider for its addresses and keys, as a log-in would, and say what it must know of us.

    \b
    Example:
      pegboard sso check google
    """
    issuer, keys, callback = run(_check(cli, tenant, name))
    click.echo(f"{issuer}: " + ("by address" if keys is None else f"answers, with {keys} keys"))
    click.echo(f"tell it to send people back to {callback}")


@asynccontextmanager
async def _work(cli: CommandLine, tenant: str) -> AsyncIterator[SteppedWork]:
    async with open_runtime(cli) as runtime:
        yield SteppedWork(runtime, runtime.registry, await operator_of(runtime, tenant), new_id().hex)


async def _list(cli: CommandLine, tenant: str) -> list[AdministeredProvider]:
    async with _work(cli, tenant) as uow, uow.step() as work:
        administration = ProviderAdministration(uow.runtime, partial(callback_at, _base(uow.runtime.config)))
        return (await administration.list(work)).items


async def _check(cli: CommandLine, tenant: str, name: str) -> tuple[str, int | None, str]:
    async with _work(cli, tenant) as uow:
        async with uow.step() as work:
            provider = await Providers(uow.runtime).find(work, name)
        issuer, keys = issuer_of(provider.settings), None
        try:
            if provider.settings.preset != "github":
                keys = await uow.runtime.issuers.count_keys(uow, issuer)
            client_proof(provider.settings, provider.secret, ())
        except ProviderAnswerInvalid as error:
            raise CommandError(f"{issuer} is not set up right: {error.reason}") from error
        return issuer, keys, callback_at(_base(uow.runtime.config), name)


def _base(config: Config) -> str:
    return config.http.public_url.rstrip("/") or f"http://{config.http.host}:{config.http.port}"
