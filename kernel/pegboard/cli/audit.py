"""`pegboard audit`: read the audit trail."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditEntryView

from pegboard.audit.search import AuditSearch
from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run, tenant_option
from pegboard.work import ReadWork

__all__ = ("command",)

_PAGE = 1000


@click.group("audit")
def command() -> None:
    """Read the audit trail.

    \b
    Example:
      pegboard audit list --action account:role.grant
    """


@command.command("list")
@click.option("--actor", "actor_id", type=click.UUID, help="Only what this account did.")
@click.option("--action", help="Only this action, such as account:role.grant.")
@click.option("--object-type", help="Only objects of this kind, such as account.")
@click.option("--object", "object_id", help="Only this object, by its id.")
@click.option("--outcome", type=click.Choice(["success", "refused", "failed"]), help="Only this outcome.")
@click.option("--since", type=click.DateTime(), help="Only from this time on (UTC).")
@click.option("--until", type=click.DateTime(), help="Only before this time (UTC).")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many entries at most.")
@tenant_option
@json_option
@click.pass_obj
def list_entries(
    cli: CommandLine,
    tenant: str,
    as_json: bool,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    **filters: Any,
) -> None:
    """List entries, newest first.

    \b
    Examples:
      pegboard audit list --since 2026-01-31 --outcome refused
      pegboard audit list --object 0190a5c2-… --json
    """
    times = {"since": since and since.replace(tzinfo=UTC), "until": until and until.replace(tzinfo=UTC)}
    entries = run(_search(cli, tenant, limit, {**filters, **times}))
    if as_json:
        click.echo(msgspec.json.encode({"entries": entries}))
        return
    for entry in entries:
        click.echo(_line(entry))
    if not entries:
        click.echo("no entries")


async def _search(cli: CommandLine, tenant: str, limit: int, filters: Mapping[str, Any]) -> list[AuditEntryView]:
    entries: list[AuditEntryView] = []
    async with open_runtime(cli) as runtime:
        work = ReadWork(runtime, runtime.registry, await operator_of(runtime, tenant), new_id().hex)
        try:
            cursor: str | None = None
            while len(entries) < limit:
                page = await AuditSearch().search(
                    work, **filters, limit=min(_PAGE, limit - len(entries)), cursor=cursor
                )
                entries += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
        finally:
            await work.release()
    return entries


def _line(entry: AuditEntryView) -> str:
    actor = str(entry.actor_id) if entry.actor_id else entry.actor_kind
    when = f"{entry.occurred_at:%Y-%m-%d %H:%M:%S}"
    why = f"({entry.reason})" if entry.reason else ""
    parts = (when, actor, entry.outcome, entry.action, entry.object_type, entry.object_id or "", why)
    return " ".join(part for part in parts if part)
