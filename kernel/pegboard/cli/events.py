"""`pegboard events`: look at the outbox."""

from typing import Any
from uuid import UUID

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import json_option, open_runtime, run
from pegboard.jobs.schemas import EventSummary


@click.group("events")
def command() -> None:
    """Look at what happened: the events of all tenants, and whether they were relayed.

    What became of a delivery to one handler is a job: `pegboard jobs list --name <event>/<handler>`.

    \b
    Example:
      pegboard events list --waiting
    """


@command.command("list")
@click.option("--name", help="Only events of this name, such as finance.escrow_funded.")
@click.option("--tenant", type=click.UUID, help="Only events of the tenant with this id.")
@click.option("--waiting", is_flag=True, help="Only events that no relay has taken up yet.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def list_command(cli: CommandLine, as_json: bool, tenant: UUID | None, **filters: Any) -> None:
    """List events, newest first.

    \b
    Example:
      pegboard events list --name creation_studio.gig_published --json
    """
    found = run(_list(cli, tenant_id=tenant, **filters))
    if as_json:
        click.echo(msgspec.json.encode({"items": found}))
        return
    for event in found:
        state = "relayed" if event.relayed_at else "waiting"
        payload = msgspec.json.encode(event.payload).decode()
        click.echo(f"{event.id}  {event.created_at:%Y-%m-%d %H:%M:%S}  {state}  {event.name}  {payload}")
    if not found:
        click.echo("no events", err=True)


async def _list(cli: CommandLine, **filters: Any) -> list[EventSummary]:
    from pegboard.jobs.repository import find_event_page

    async with open_runtime(cli) as runtime:
        return await find_event_page(runtime.database.system, **filters)
