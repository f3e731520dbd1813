"""`pegboard secrets`: set, list, remove and re-seal secrets of the vault."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from difflib import get_close_matches
from uuid import UUID

import click
import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.factors.resealing import reseal_factors
from pegboard.identity.keys import reseal_signing_keys
from pegboard.machines.resealing import reseal_credentials
from pegboard.plugins.discovery import discover
from pegboard.vault.store import SecretStore, SecretView

__all__ = ("command",)

tenant_option = click.option(
    "--tenant", metavar="SLUG", help="One marketplace's secret. Default: the platform's, which all of them may use."
)


@click.group("secrets")
def command() -> None:
    """Set, list, remove and re-seal secrets of the vault. A plugin's README names those that it reads.

    \b
    Example:
      pegboard secrets set integrations.github_webhook_secret < key.txt
    """


@command.command("set")
@click.argument("name")
@tenant_option
@json_option
@click.pass_obj
def set_secret(cli: CommandLine, name: str, tenant: str | None, as_json: bool) -> None:
    """Set a secret. It is asked for, or read from standard input where that is no terminal; never an argument.

    One line break at the end of the input is left out.

    \b
    Example:
      pegboard secrets set ai_providers.openai_api_key
    """
    secret = _read_secret(name)
    new = run(_set(cli, name, secret, tenant))
    if warning := _unread(name):
        click.echo(f"pegboard: {warning}", err=True)
    _say({"name": name, "new": new}, f"{name}: {'set' if new else 'replaced'}", as_json)


@command.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_secrets(cli: CommandLine, tenant: str | None, as_json: bool) -> None:
    """List secrets by name, without their texts.

    \b
    Example:
      pegboard secrets list --json
    """
    secrets = run(_list(cli, tenant))
    if as_json:
        click.echo(msgspec.json.encode({"secrets": secrets}))
        return
    for secret in secrets:
        click.echo(f"{secret.name} {secret.updated_at:%Y-%m-%d %H:%M:%S} key {secret.key_id}")
    if not secrets:
        click.echo("no secrets")


@command.command("remove")
@click.argument("name")
@tenant_option
@json_option
@click.pass_obj
def remove_secret(cli: CommandLine, name: str, tenant: str | None, as_json: bool) -> None:
    """Remove a secret; exit status 2 where there is none.

    \b
    Example:
      pegboard secrets remove integrations.github_webhook_secret
    """
    if not run(_remove(cli, name, tenant)):
        raise CommandError(f"there is no secret {name}: see `pegboard secrets list`")
    _say({"name": name, "removed": True}, f"{name}: removed", as_json)


@command.command("rotate")
@json_option
@click.pass_obj
def rotate_secrets(cli: CommandLine, as_json: bool) -> None:
    """Seal all secrets again under `secrets.master_key`, the signing keys of access tokens and API keys too.

    First put the old key into `secrets.earlier_master_keys`, and restart what runs. People go on working meanwhile.
    Take the old key away a day after this said 0: answers that are kept for repeated requests stay under it so long.

    \b
    Example:
      pegboard secrets rotate
    """
    secrets, keys, factors = run(_rotate(cli))
    _say(
        {"secrets": secrets, "signing_keys": keys, "second_factors": factors},
        f"sealed again: {secrets} secrets, {keys} signing keys, {factors} seeds and codes of second factors",
        as_json,
    )


@asynccontextmanager
async def _store(cli: CommandLine, tenant: str | None) -> AsyncIterator[tuple[SecretStore, UUID | None]]:
    """The vault's rows and whose they are. What concerns the platform is audited in the default tenant."""
    async with open_runtime(cli) as runtime:
        owner = None if tenant is None else (await operator_of(runtime, tenant)).tenant_id
        actor = Principal(kind="system", tenant_id=owner or DEFAULT_TENANT)
        async with runtime.database.system_transaction() as connection:
            yield SecretStore(connection, runtime.vault, actor=actor, request_id=new_id().hex), owner


async def _set(cli: CommandLine, name: str, secret: Secret, tenant: str | None) -> bool:
    async with _store(cli, tenant) as (store, owner):
        return await store.set(name, secret, tenant_id=owner)


async def _list(cli: CommandLine, tenant: str | None) -> list[SecretView]:
    async with _store(cli, tenant) as (store, owner):
        return await store.list(tenant_id=owner)


async def _remove(cli: CommandLine, name: str, tenant: str | None) -> bool:
    async with _store(cli, tenant) as (store, owner):
        return await store.remove(name, tenant_id=owner)


def _unread(name: str) -> str | None:
    """Why nothing will read this secret, from the manifests of all installed plugins; None where something does."""
    read = {secret for found in discover().candidates.values() for secret in found.manifest.capabilities.secrets}
    if name in read:
        return None
    near = get_close_matches(name, sorted(read), n=1)
    hint = f": did you mean {near[0]}?" if near else f" (they read {', '.join(sorted(read)) or 'none'})"
    return f"no installed plugin reads a secret {name}{hint}"


async def _rotate(cli: CommandLine) -> tuple[int, int, int]:
    """Batch by batch, each in a transaction of its own: what is done stays done."""
    async with open_runtime(cli) as runtime:
        async with runtime.database.system_transaction() as connection:
            keys = await reseal_signing_keys(connection, runtime.vault)
        while True:
            async with runtime.database.system_transaction() as connection:
                if not await reseal_credentials(connection, runtime.vault):
                    break
        factors = 0
        while True:
            async with runtime.database.system_transaction() as connection:
                done = await reseal_factors(connection, runtime.vault)
            factors += done
            if not done:
                break
        actor = Principal(kind="system", tenant_id=DEFAULT_TENANT)
        secrets = 0
        while True:
            async with runtime.database.system_transaction() as connection:
                store = SecretStore(connection, runtime.vault, actor=actor, request_id=new_id().hex)
                done = await store.rotate()
            secrets += done
            if not done:
                return secrets, keys, factors


def _read_secret(name: str) -> Secret:
    if sys.stdin.isatty():
        text = click.prompt(name, hide_input=True)
    else:
        text = sys.stdin.read()
        text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise CommandError("no secret came on standard input: pipe one in, such as `… < key.txt`")
    return Secret(text)


def _say(fields: dict[str, object], line: str, as_json: bool) -> None:
    click.echo(msgspec.json.encode(fields) if as_json else line)
