"""`pegboard plugins`: which there are, which are on, and turning them on and off."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run

if TYPE_CHECKING:
    from pegboard.config.model import Config
    from pegboard.plugins.registry import Registry
    from pegboard.plugins.revisions import Revision
    from pegboard.plugins.schemas import PluginsOverview, PluginView
    from pegboard.runtime import Runtime

__all__ = ("command",)

DECISION_SECONDS = 120.0


@click.group("plugins")
def command() -> None:
    """See which plugins there are, and turn them on and off.

    \b
    Examples:
      pegboard plugins list
      pegboard plugins enable finance
    """


@command.command("list")
@json_option
@click.pass_obj
def list_plugins(cli: CommandLine, as_json: bool) -> None:
    """List the installed plugins, whether each is on, and if not, why.

    \b
    Example:
      pegboard plugins list --json
    """
    found = run(_overview(cli))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    width = max((len(plugin.name) for plugin in found.plugins), default=0)
    for plugin in found.plugins:
        told = plugin.reason if plugin.state != "enabled" else plugin.summary
        click.echo(f"{plugin.name:<{width}}  {plugin.version:<8} {plugin.state:<9} {told}".rstrip())
    if not found.plugins:
        click.echo("no plugins are installed", err=True)
    _show_revisions(found)


@command.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_plugin(cli: CommandLine, name: str, as_json: bool) -> None:
    """Show one plugin: what it needs, brings and asks to use.

    \b
    Example:
      pegboard plugins show finance
    """
    plugin = next((one for one in run(_overview(cli)).plugins if one.name == name), None)
    if plugin is None:
        raise CommandError(f"no installed package offers a plugin named {name}: `pegboard plugins list` shows which do")
    if as_json:
        click.echo(msgspec.json.encode(plugin))
    else:
        _show(plugin)


@command.command("enable")
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Don't wait until all processes run it.")
@json_option
@click.pass_obj
def enable(cli: CommandLine, name: str, no_wait: bool, as_json: bool) -> None:
    """Turn a plugin on: in plugins.toml, and in the platform if it runs, without a restart.

    Its migrations run first. New code of a plugin that was on before needs the processes restarted one after the other.

    \b
    Example:
      pegboard plugins enable finance
    """
    _toggle(cli, name, True, wait=not no_wait, as_json=as_json)


@command.command("disable")
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Don't wait until no process runs it any more.")
@json_option
@click.pass_obj
def disable(cli: CommandLine, name: str, no_wait: bool, as_json: bool) -> None:
    """Turn a plugin off: its routes go, its jobs wait, its data stays.

    \b
    Example:
      pegboard plugins disable finance
    """
    _toggle(cli, name, False, wait=not no_wait, as_json=as_json)


@command.command("check-manifests")
@json_option
@click.pass_obj
def check_manifests(cli: CommandLine, as_json: bool) -> None:
    """Check all installed plugins, also those that are off: the manifests, how they depend on each other, and whether
    the code brings what the manifests say. Exit status 2 where one is wrong.

    \b
    Example:
      pegboard plugins check-manifests
    """
    wrong = _check(cli.config())
    if as_json:
        click.echo(msgspec.json.encode({"ok": not wrong, "problems": wrong}))
    else:
        for name, reason in wrong.items():
            click.echo(f"{name}: {reason}", err=True)
        if not wrong:
            click.echo("ok")
    if wrong:
        raise SystemExit(2)


def _check(config: "Config") -> dict[str, str]:
    """What is wrong, by plugin: as if everything that is installed were on."""
    from pegboard.plugins.discovery import discover
    from pegboard.plugins.manager import load_plugins
    from pegboard.plugins.preparation import reasons
    from pegboard.plugins.wanted import with_plugins

    found = discover()
    everything = msgspec.structs.replace(with_plugins(config, {*found.candidates, *found.broken}), strict=False)
    return dict(sorted(reasons(load_plugins(everything)).items()))


async def _overview(cli: CommandLine) -> "PluginsOverview":
    from pegboard.plugins.revisions import wanted_revision
    from pegboard.plugins.schemas import PluginsOverview
    from pegboard.plugins.service import overview, plugin_views
    from pegboard.plugins.wanted import with_plugins

    config: Config = cli.config()
    async with _platform(cli) as runtime:
        if runtime is None:
            views = plugin_views(await _registry(config))
            return PluginsOverview(plugins=views, active=None, latest=None, processes=[])
        async with runtime.database.system_transaction() as connection:
            wanted = await wanted_revision(connection)
            if wanted is not None:
                config = with_plugins(config, wanted.plugins)
            return await overview(connection, await _registry(config))


async def _registry(config: "Config") -> "Registry":
    from pegboard.plugins.manager import load_plugins

    return await asyncio.to_thread(load_plugins, msgspec.structs.replace(config, strict=False))


@contextlib.asynccontextmanager
async def _platform(cli: CommandLine) -> "AsyncIterator[Runtime | None]":
    """The platform's database, or None where there is none (yet): then `plugins.toml` is all there is."""
    from pegboard.supervisor.runfile import attach

    if not attach(cli.config()).database.url:
        yield None
        return
    async with open_runtime(cli) as runtime:
        migrated = await runtime.database.system.fetchval("SELECT to_regclass('kernel_plugin_revisions') IS NOT NULL")
        yield runtime if migrated else None


def _toggle(cli: CommandLine, name: str, enabled: bool, *, wait: bool, as_json: bool) -> None:
    revision = run(_change(cli, name, enabled, wait=wait))
    state = "written" if revision is None else revision.state
    if as_json:
        number = None if revision is None else revision.number
        reason = None if revision is None else revision.reason
        answer = {"plugin": name, "enabled": enabled, "revision": number, "state": state, "reason": reason}
        click.echo(msgspec.json.encode(answer))
    word = "on" if enabled else "off"
    if revision is not None and revision.state == "failed":
        raise CommandError(f"{name} could not be turned {word}, and nothing changed: {revision.reason}")
    if as_json:
        return
    told = {
        "written": f"{name} will be {word} when the platform starts",
        "active": f"{name} is {word}",
        "preparing": f"{name} is being turned {word}: `pegboard plugins list` shows how far it is",
        "superseded": "somebody changed the plugins again meanwhile: `pegboard plugins list` shows how they are",
    }
    click.echo(told[state])


async def _change(cli: CommandLine, name: str, enabled: bool, *, wait: bool) -> "Revision | None":
    """Toggle; gives the revision that came of it, or None where only the file could be written."""
    config: Config = cli.config()
    async with _platform(cli) as runtime:
        if runtime is None:
            await asyncio.to_thread(_write, config, name, enabled)
            return None
        from pegboard.plugins.administration import change_plugin

        revision = await change_plugin(
            runtime, config, await operator_of(runtime, "default"), name, enabled, origin="cli"
        )
        return await _decided(runtime, revision) if wait else revision


def _write(config: "Config", name: str, enabled: bool) -> None:
    from pathlib import Path

    from pegboard.plugins.discovery import discover
    from pegboard.plugins.plugins_file import set_enabled
    from pegboard.plugins.toggle import check_toggle, refuse_environment
    from pegboard.plugins.wanted import enabled_plugins

    refuse_environment(name)
    check_toggle(discover(), config, enabled_plugins(config), name, enabled)
    set_enabled(Path(config.path), name, enabled)


async def _decided(runtime: "Runtime", revision: "Revision") -> "Revision":
    """The revision once it failed or all processes run it, or as it is when that takes too long."""
    from pegboard.plugins import processes, revisions
    from pegboard.plugins.listener import Listener

    changed = asyncio.Event()
    listener = Listener(runtime.database, revisions.CHANNEL, changed)
    deadline = asyncio.get_running_loop().time() + DECISION_SECONDS
    try:
        await listener.ensure()
        while asyncio.get_running_loop().time() < deadline:
            changed.clear()
            async with runtime.database.system_transaction() as connection:
                revision = await revisions.revision(connection, revision.number) or revision
                live = await processes.live_processes(connection)
            running = all(one.active_revision == revision.number for one in live)
            if revision.state in ("failed", "superseded") or (revision.state == "active" and running):
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await changed.wait()
    finally:
        await listener.close()
    return revision


def _show_revisions(found: "PluginsOverview") -> None:
    if found.active is not None:
        click.echo(f"revision {found.active.number} is active", err=True)
    if found.latest is not None and found.latest.state in ("preparing", "failed"):
        why = f": {found.latest.reason}" if found.latest.reason else ""
        click.echo(f"revision {found.latest.number} is {found.latest.state}{why}", err=True)
    for told in sorted({text for one in found.processes for text in (one.error, one.conflict) if text}):
        click.echo(told, err=True)


def _show(plugin: "PluginView") -> None:
    routes = [f"{route.method} {route.path}  {route.permission or 'public'}" for route in plugin.routes]
    rows: Sequence[tuple[str, Any]] = (
        ("name", plugin.name),
        ("summary", plugin.summary),
        ("version", plugin.version),
        ("package", plugin.distribution),
        ("state", plugin.state),
        ("reason", plugin.reason),
        ("sdk", plugin.sdk),
        ("requires", [f"{name} {specifier}" for name, specifier in plugin.requires.items()]),
        ("after", [f"{name} {specifier}" for name, specifier in plugin.after.items()]),
        ("permissions", [f"{name}  may {summary}" for name, summary in plugin.permissions.items()]),
        ("events", [f"{name}  {summary}" for name, summary in plugin.events.items()]),
        ("listens to", plugin.listens_to),
        ("jobs", plugin.jobs),
        ("schedules", plugin.schedules),
        ("services", plugin.services),
        ("extends", plugin.extends),
        ("tables", plugin.capabilities.tables),
        ("calls", plugin.capabilities.outbound_hosts),
        ("secrets", plugin.capabilities.secrets),
        ("ai spend", "yes" if plugin.capabilities.ai_spend else None),
        ("routes", routes),
    )
    for label, value in rows:
        for line in [value] if isinstance(value, str) else value or ():
            click.echo(f"{label:<12} {line}")
            label = ""
