"""`pegboard authorization`: the permission matrix of a marketplace, and why somebody may or may not do something.

Commands act as the platform itself: what they change, administrators may have lost the right to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import click
import msgspec
from pegboard_sdk.ids import new_id

from pegboard.authorization.changes import matrix_version
from pegboard.authorization.explain import explain
from pegboard.authorization.explain_schemas import Explanation
from pegboard.authorization.export import to_csv
from pegboard.authorization.matrix import MatrixService
from pegboard.authorization.schemas import Grant, Matrix, MatrixChange
from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run, tenant_option
from pegboard.identity.accounts import AccountService
from pegboard.work import Work, transact

__all__ = ("command",)

Cell = Literal["on", "off", "default"]
_GRANTED: dict[str, bool | None] = {"on": True, "off": False, "default": None}


@click.group("authorization")
def command() -> None:
    """See and change which role may do what, and why somebody may or may not.

    \b
    Example:
      pegboard authorization explain ada@example.com finance:escrow.refund
    """


@command.command("matrix")
@click.option("--csv", "as_csv", is_flag=True, help="A table for spreadsheets.")
@click.option("--edited", is_flag=True, help="Only what the marketplace decided otherwise than the plugins.")
@tenant_option
@json_option
@click.pass_obj
def matrix(cli: CommandLine, as_csv: bool, edited: bool, tenant: str, as_json: bool) -> None:
    """Show which role may do what, and where that comes from.

    \b
    Examples:
      pegboard authorization matrix --edited
      pegboard authorization matrix --csv > matrix.csv
    """
    found = run(_read(cli, tenant))
    if edited:
        found = msgspec.structs.replace(found, grants=[one for one in found.grants if one.source == "tenant"])
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif as_csv:
        click.echo(to_csv(found), nl=False)
    else:
        for grant in found.grants:
            click.echo(_line(grant))
        if not found.grants:
            click.echo("nothing: the plugins' defaults count")


@command.command("set")
@click.argument("role")
@click.argument("permission")
@click.argument("cell", type=click.Choice(("on", "off", "default")))
@click.option("--reason", required=True, help="Why: it is kept in the audit trail.")
@tenant_option
@json_option
@click.pass_obj
def set_cell(cli: CommandLine, role: str, permission: str, cell: Cell, reason: str, tenant: str, as_json: bool) -> None:
    """Give a role a permission (on), take it away (off), or have the plugins' default count again (default).

    \b
    Example:
      pegboard authorization set administrator finance:escrow.refund default --reason "nobody could give it back"
    """
    change = MatrixChange(role=role, permission=permission, granted=_GRANTED[cell])
    found = run(_set(cli, change, reason, tenant))
    grant = next((one for one in found.grants if (one.role, one.permission) == (role, permission)), None)
    if as_json:
        click.echo(
            msgspec.json.encode({"role": role, "permission": permission, "granted": bool(grant and grant.granted)})
        )
    else:
        click.echo(f"{role} {permission} not granted (by default)" if grant is None else _line(grant))


@command.command("explain")
@click.argument("email")
@click.argument("permission")
@click.option("--object", "about", metavar="TYPE:ID", help="With what, such as finance.escrow:0199…")
@tenant_option
@json_option
@click.pass_obj
def explain_decision(
    cli: CommandLine, email: str, permission: str, about: str | None, tenant: str, as_json: bool
) -> None:
    """Say why an account may or may not use a permission, if need be on an object.

    \b
    Example:
      pegboard authorization explain ada@example.com finance:escrow.refund
    """
    found = run(_explain(cli, email, permission, about, tenant))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    click.echo(f"{email} {'may' if found.allowed else 'may not'} use {permission}{f' on {about}' if about else ''}")
    for sentence in found.because:
        click.echo(f"  {sentence}")


async def _read(cli: CommandLine, tenant: str) -> Matrix:
    async with _work(cli, tenant) as work:
        return await MatrixService(work).read()


async def _set(cli: CommandLine, change: MatrixChange, reason: str, tenant: str) -> Matrix:
    async with _work(cli, tenant) as work:
        etag = f'"{await matrix_version(work)}"'
        return await MatrixService(work).edit([change], reason=reason, if_match=etag)


async def _explain(cli: CommandLine, email: str, permission: str, about: str | None, tenant: str) -> Explanation:
    async with _work(cli, tenant) as work:
        account = await AccountService(work.runtime).find(work, email)
        return await explain(work, account.id, permission, about)


@asynccontextmanager
async def _work(cli: CommandLine, tenant: str) -> AsyncIterator[Work]:
    async with open_runtime(cli, plugins=True) as runtime:
        principal = await operator_of(runtime, tenant)
        async with transact(runtime, runtime.registry, principal, new_id().hex) as work:
            yield work


def _line(grant: Grant) -> str:
    said = f"{grant.role} {grant.permission} {'granted' if grant.granted else 'withdrawn'} by {grant.source}"
    return said if grant.edited_at is None else f"{said} at {grant.edited_at:%Y-%m-%d %H:%M} UTC: {grant.reason}"
