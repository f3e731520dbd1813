"""`pegboard migrate`: bring the database up to date, and say what state it is in."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import click
import msgspec
from pegboard_sdk.database import PiccoloApp

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import attached, json_option
from pegboard.config.model import Config
from pegboard.database.migrate import MigrationReport, MigrationState, migration_states
from pegboard.database.migrations import MigrationError
from pegboard.database.prepare import prepare
from pegboard.database.reach import explain, reaching
from pegboard.database.roles import DatabaseSetupError
from pegboard.database.urls import DatabaseUrls

if TYPE_CHECKING:
    from pegboard.plugins.registry import Registry

T = TypeVar("T")


@click.group("migrate", invoke_without_command=True)
@click.option("--plan", is_flag=True, help="Only say what would be run.")
@json_option
@click.pass_context
def command(ctx: click.Context, plan: bool, as_json: bool) -> None:
    """Make the database's roles and run what is pending of all migrations: the kernel's, then those of the plugins that
    are on. Then bring the taxonomies of these plugins up to date.

    Any number of processes may do this at once: one works, the others wait. A plugin whose migration fails is left as
    it was and named; the exit status is then 2.

    \b
    Examples:
      pegboard migrate
      pegboard migrate --plan
      PEGBOARD_DATABASE__URL=postgresql://admin@db/pegboard pegboard migrate
    """
    if ctx.invoked_subcommand is not None:
        return
    config = attached(ctx.obj)
    registry = _registry(config)
    apps = _apps(registry)
    if plan:
        pending = [state for state in _run(migration_states(_url(config), apps)) if state.state != "applied"]
        _show_states([state for state in pending if state.state != "unknown"], as_json, "nothing to run")
        return
    report = _run(prepare(config, apps))
    for problem in _run(_seed(config, registry, report.failed)):
        click.echo(f"pegboard: {problem}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _show(report)
    if report.failed:
        raise SystemExit(2)


@command.command("status")
@json_option
@click.pass_obj
def status(cli: CommandLine, as_json: bool) -> None:
    """List all migrations and whether they were run.

    `unknown` is one that was run and whose file isn't here: of a plugin that is off, or of a newer release.

    \b
    Example:
      pegboard migrate status --json
    """
    config = attached(cli)
    _show_states(_run(migration_states(_url(config), _apps(_registry(config)))), as_json, "no migrations")


@command.command("check")
@json_option
@click.pass_obj
def check(cli: CommandLine, as_json: bool) -> None:
    """Compare the migrated database with the tables that the plugins declare, and with the rules that keep tenants
    apart; exit status 2 where they differ.

    \b
    Example:
      pegboard migrate check
    """
    config = attached(cli)
    problems = _run(_problems(_url(config), _apps(_registry(config))))
    if as_json:
        click.echo(msgspec.json.encode({"ok": not problems, "problems": problems}))
    else:
        for problem in problems:
            click.echo(problem, err=True)
        if not problems:
            click.echo("ok")
    if problems:
        raise SystemExit(2)


async def _problems(url: str, apps: Sequence[PiccoloApp]) -> list[str]:
    from pegboard.database.drift import find_drift
    from pegboard.database.tables import kernel_app
    from pegboard.database.tenancy import tenancy_problems

    with reaching(url):
        connection = await asyncpg.connect(url, server_settings={"application_name": "pegboard:check"})
    try:
        return [*await find_drift(connection, (kernel_app(), *apps)), *await tenancy_problems(connection)]
    finally:
        await connection.close()


def _registry(config: Config) -> "Registry":
    """The plugins that are on, or are about to be."""
    from pegboard.plugins.effective import effective_config
    from pegboard.plugins.manager import load_plugins

    return load_plugins(_run(effective_config(config)))


def _apps(registry: "Registry") -> list[PiccoloApp]:
    """What the plugins bring to the database."""
    return [plugin.app for plugin in registry.plugins if plugin.app is not None and plugin.name != "kernel"]


async def _seed(config: Config, registry: "Registry", failed: Mapping[str, str]) -> list[str]:
    """Seed the plugins' taxonomies, but for those whose migrations failed; gives what was left out and why."""
    from pegboard.taxonomies.seed import seed

    migrated = [plugin for plugin in registry.plugins if plugin.name not in failed]
    return (await seed(config, msgspec.structs.replace(registry, plugins=migrated))).problems


def _url(config: Config) -> str:
    try:
        return DatabaseUrls.from_config(config).owner
    except ValueError as error:
        raise CommandError(str(error)) from error


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (DatabaseSetupError, MigrationError, ValueError) as error:
        raise CommandError(str(error)) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CommandError(explain(error)) from error


def _show(report: MigrationReport) -> None:
    for one in report.applied:
        click.echo(f"{one.app} {one.id} {one.description}")
    if not report.applied and not report.failed:
        click.echo("nothing to run")
    for app, reason in report.failed.items():
        click.echo(f"pegboard: {app}: {reason}", err=True)


def _show_states(states: Sequence[MigrationState], as_json: bool, nothing: str) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"migrations": states}))
        return
    for one in states:
        when = one.applied_at.strftime(" %Y-%m-%d %H:%M:%S") if one.applied_at else ""
        click.echo(f"{one.state}{when} {one.app} {one.id} {one.description}".rstrip())
    if not states:
        click.echo(nothing)
