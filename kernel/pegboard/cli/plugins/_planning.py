"""Making a plan, and telling a person what it says."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandLine
from pegboard.cli._platform import run
from pegboard.cli.plugins._overview import platform_database
from pegboard.wording import counted

if TYPE_CHECKING:
    from pegboard.plugins.planning.action import Action, DataFate
    from pegboard.plugins.planning.content import Change, Plan, PlanContent

__all__ = ("show_plan", "tell")

_KIB = 1024


def show_plan(
    cli: CommandLine,
    *,
    enable: str | None = None,
    disable: str | None = None,
    upgrade: str | None = None,
    uninstall: str | None = None,
    data: "DataFate | None" = None,
    cascade: bool = False,
    as_json: bool = False,
) -> None:
    """Make a plan and show it. Exit status 2 where it can't be applied."""
    from pegboard.plugins.planning.action import Action

    action = Action(
        on=[enable] if enable else [],
        off=[disable] if disable else [],
        upgrade=[upgrade] if upgrade else [],
        uninstall=[uninstall] if uninstall else [],
        data=data,
        cascade=cascade,
    )
    made, content = run(_plan(cli, action))
    if as_json:
        click.echo(msgspec.json.encode(made or content))
        _refuse(content)
        return
    for line in tell(content):
        click.echo(line)
    if made is None:
        click.echo("no platform is there yet: data and jobs are not known, and nothing is kept of this", err=True)
    elif content.changes and not content.problems:
        click.echo(f"\nto do it: pegboard plugins apply {made.id}{' --export DIR' if data == 'export' else ''}")
    _refuse(content)


def _refuse(content: "PlanContent") -> None:
    """A script that goes on to `apply` is to stop here."""
    if content.problems:
        raise SystemExit(2)


async def _plan(cli: CommandLine, action: "Action") -> "tuple[Plan | None, PlanContent]":
    """The plan and what it says; where there is no platform, only that."""
    from pegboard.plugins.planning.make import make_plan, preview
    from pegboard.plugins.planning.probe import probe

    config = cli.config()
    async with platform_database(cli) as runtime:
        if runtime is None:
            return None, await preview(config, action, probe=probe)
        plan = await make_plan(runtime.database, config, action, probe=probe)
        return plan, plan.content


def tell(content: "PlanContent") -> Iterator[str]:
    """The plan, a line for each thing that changes."""
    if not content.changes and not content.problems:
        yield "nothing would change"
    for change in content.changes:
        yield _change(change)
    for heading, sign, lines in _sections(content):
        if lines:
            yield ""
            yield f"{heading}:"
            yield from (f"  {sign} {line}" for line in lines)
    if content.restart:
        yield ""
        yield f"afterwards: {content.restart}"


def _change(change: "Change") -> str:
    versions = " → ".join(one for one in (change.version_from, change.version_to) if one)
    because = f", because of {change.because}" if change.because else ""
    return f"{change.change} {change.plugin} {versions}".rstrip() + because


def _sections(content: "PlanContent") -> Iterator[tuple[str, str, list[str]]]:
    yield "it can't be applied", "!", content.problems
    yield "breaking", "!", content.breaking
    for heading, sign, operations in (
        ("clients gain", "+", content.operations.gained),
        ("clients would lose", "-", content.operations.lost),
    ):
        lines = [f"{one.operation}  {one.method} {one.path}  {one.permission or 'public'}" for one in operations]
        yield heading, sign, lines
    for what, delta in (
        ("permissions", content.permissions),
        ("roles", content.grants),
        ("events", content.events),
        ("listeners", content.listeners),
        ("jobs", content.jobs),
        ("schedules", content.schedules),
        ("services", content.services),
        ("extensions", content.extensions),
        ("may newly", content.capabilities),
    ):
        yield what, "+", delta.gained
        yield f"{what if what != 'may newly' else 'may'} no longer", "-", delta.lost
    yield "listen to what nobody says any more", "!", content.unheard
    yield "would be without what they use", "!", content.unserved
    yield "jobs that would be parked", "!", [f"{one.count} of {one.job} ({one.plugin})" for one in content.parked]
    yield "migrations to run", "+", content.migrations
    yield "tables", "+", content.tables
    yield (
        "data",
        "·",
        [
            f"{one.table} ({one.plugin}): {'about ' if one.estimated else ''}{counted(one.rows, 'row')},"
            f" {one.bytes // _KIB:,} KiB,"
            f" {one.fate}"
            for one in content.data
        ],
    )
    yield (
        "others refer to its records",
        "!",
        [
            f"{one.column} ({one.plugin}): {'at least ' if one.at_least else ''}{counted(one.count, 'reference')}"
            f" to {one.to}"
            for one in content.references
        ],
    )
    yield "references that can't be counted", "!", content.misdeclared
