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
from pegboard.plugins.discovery import discover
from pegboard.vault.inventory import ENVELOPES
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
    """Seal again, under `secrets.master_key`, all that is sealed: secrets, signing keys, API keys, second factors.

    First put the old key into `secrets.earlier_master_keys`, and restart what runs. People go on working meanwhile. It
    goes batch by batch: what is done stays done, and it may be run again. Take the old key away a day after `status`
    has said that nothing is left under it: answers that are kept for repeated requests stay so long.

    \b
    Example:
      pegboard secrets rotate
    """
    resealed = run(_rotate(cli))
    if as_json:
        click.echo(msgspec.json.encode({"resealed": resealed}))
        return
    click.echo(f"sealed again: {', '.join(f'{count} {kind}' for kind, count in resealed.items())}")


@command.command("status")
@json_option
@click.pass_obj
def show_status(cli: CommandLine, as_json: bool) -> None:
    """Tell how much is sealed under which master key; exit status 1 where something is left under an earlier one.

    Master keys are told apart by ids that say nothing of the keys.

    \b
    Example:
      pegboard secrets status
    """
    current, sealed = run(_status(cli))
    left = sum(count for keys in sealed.values() for key_id, count in keys.items() if key_id != current)
    if as_json:
        click.echo(msgspec.json.encode({"key_id": current, "sealed": sealed, "left": left}))
    else:
        for kind, keys in sealed.items():
            click.echo(f"{kind}: {', '.join(f'{count} under {_named(key, current)}' for key, count in keys.items())}")
        click.echo(f"{left} left: run `pegboard secrets rotate`" if left else f"all is sealed under the key {current}")
    sys.exit(1 if left else 0)


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


async def _rotate(cli: CommandLine) -> dict[str, int]:
    """Batch by batch, each in a transaction of its own; gives how many of each kind. Tells how far it is as it goes."""
    resealed: dict[str, int] = {}
    async with open_runtime(cli) as runtime:
        for envelopes in ENVELOPES:
            async with runtime.database.system_transaction() as connection:
                by_key = await envelopes.by_key(connection)
            left = sum(count for key_id, count in by_key.items() if key_id != runtime.vault.key_id)
            resealed[envelopes.kind] = 0
            # On a terminal only; it goes to standard error, beside the result.
            with click.progressbar(length=left, label=envelopes.kind, file=sys.stderr) as bar:
                while True:
                    async with runtime.database.system_transaction() as connection:
                        done = await envelopes.reseal(connection, runtime.vault)
                    if not done:
                        break
                    resealed[envelopes.kind] += done
                    bar.update(done)
    return resealed


async def _status(cli: CommandLine) -> tuple[str, dict[str, dict[str, int]]]:
    async with open_runtime(cli) as runtime, runtime.database.system_transaction() as connection:
        by_kind = {envelopes.kind: await envelopes.by_key(connection) for envelopes in ENVELOPES}
        return runtime.vault.key_id, {kind: by_key for kind, by_key in by_kind.items() if by_key}


def _named(key_id: str, current: str) -> str:
    return "the current key" if key_id == current else f"the earlier key {key_id}"


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
