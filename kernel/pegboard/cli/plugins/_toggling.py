"""Turning plugins on or off, and waiting until all processes have."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import operator_of, run
from pegboard.cli.plugins._overview import platform_database

if TYPE_CHECKING:
    from pegboard.config.model import Config
    from pegboard.plugins.processes import Process
    from pegboard.plugins.revisions import Revision
    from pegboard.runtime import Runtime

__all__ = ("cascade_option", "decided", "dry_run_option", "settled", "tell_gone", "toggle")

DECISION_SECONDS = 120.0

cascade_option = click.option(
    "--cascade", is_flag=True, help="What it needs is turned on, too; what needs it is turned off."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would change.")


def toggle(cli: CommandLine, name: str, enabled: bool, *, wait: bool, as_json: bool, cascade: bool) -> None:
    """Toggle, and say what came of it. On a terminal it asks where others hang on the plugin.

    Raises:
        CommandError: it could not be done; nothing changed.
    """
    if not cascade and not as_json and sys.stdin.isatty():
        cascade = _ask(cli, name, enabled)
    done = run(_change(cli, name, enabled, wait=wait, cascade=cascade))
    revision = done.revision
    state = "written" if revision is None else revision.state
    if as_json:
        number = None if revision is None else revision.number
        reason = None if revision is None else revision.reason
        answer = {"plugin": name, "enabled": enabled, "also": done.also, "revision": number, "state": state}
        click.echo(msgspec.json.encode({**answer, "reason": reason}))
    tell_gone(done.gone)
    word = "on" if enabled else "off"
    if revision is not None and revision.state == "failed":
        raise CommandError(f"{name} could not be turned {word}, and nothing changed: {revision.reason}")
    if as_json:
        return
    later = f"{name} will be on when the platform is started without safe mode, which leaves it out now"
    told = {
        "written": f"{name} will be {word} when the platform starts",
        "active": later if done.held_back else f"{name} is {word}",
        "preparing": f"{name} is being turned {word}: `pegboard plugins list` shows how far it is",
        "superseded": "somebody changed the plugins again meanwhile: `pegboard plugins list` shows how they are",
    }
    also = f" ({word} with it: {', '.join(done.also)})" if done.also and state != "superseded" else ""
    click.echo(f"{told[state]}{also}")


def tell_gone(gone: "Sequence[Process]") -> None:
    """Say which processes were taken for dead."""
    for one in gone:
        click.echo(
            f"{one.kind} {one.pid} on {one.node} was not heard of since {one.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC and is"
            " taken for dead; if it is not, it takes the change up when it reaches the database again",
            err=True,
        )


class _Done(NamedTuple):
    """What was done: the revision that came of it, None where only the file could be written; whom the cascade took
    along; which processes were taken for dead; whether safe mode leaves the plugin out.
    """

    revision: "Revision | None" = None
    also: Sequence[str] = ()
    gone: "Sequence[Process]" = ()
    held_back: bool = False


def _ask(cli: CommandLine, name: str, enabled: bool) -> bool:
    """Whether the others that hang on the plugin shall go with it; the question names them in order."""
    others = run(_others(cli, name, enabled))
    if others:
        verb = "needs" if enabled else "is needed by"
        what = "Turn them on, too" if enabled else "Turn them off first"
        click.confirm(f"{name} {verb} {', '.join(others)}. {what}?", abort=True, err=True)
    return bool(others)


async def _others(cli: CommandLine, name: str, enabled: bool) -> list[str]:
    from pegboard.plugins.cascade import needed_by, which_need
    from pegboard.plugins.discovery import discover
    from pegboard.plugins.revisions import wanted_revision
    from pegboard.plugins.wanted import enabled_plugins

    on = enabled_plugins(cli.config())
    async with platform_database(cli) as runtime:
        if runtime is not None:
            async with runtime.database.system_transaction() as connection:
                wanted = await wanted_revision(connection)
            on = on if wanted is None else frozenset(wanted.plugins)
    found = await asyncio.to_thread(discover)
    manifests = {one: candidate.manifest for one, candidate in found.candidates.items()}
    return needed_by([name], on, manifests) if enabled else which_need([name], on, manifests)


async def _change(cli: CommandLine, name: str, enabled: bool, *, wait: bool, cascade: bool) -> _Done:
    from pegboard.plugins.planning.probe import probe
    from pegboard.plugins.toggle import Switches, write_file

    config: Config = cli.config()
    switches = Switches(on=frozenset({name})) if enabled else Switches(off=frozenset({name}))
    async with platform_database(cli) as runtime:
        if runtime is None:
            changed = await write_file(config, switches, probe=probe, cascade=cascade)
            return _Done(also=changed.beside(switches))
        from pegboard.plugins.administration import change_plugins

        operator = await operator_of(runtime, "default")
        toggled = await change_plugins(runtime, config, operator, switches, probe=probe, cascade=cascade, origin="cli")
        revision = await settled(runtime, config, toggled.revision) if wait else toggled.revision
        also, held_back = toggled.changed.beside(switches), enabled and await _held_back(runtime, name)
        return _Done(revision=revision, also=also, gone=toggled.gone, held_back=held_back)


async def _held_back(runtime: "Runtime", name: str) -> bool:
    """Whether processes that run in safe mode leave the plugin out."""
    from pegboard.plugins.processes import live_processes

    async with runtime.database.system_transaction() as connection:
        live = await live_processes(connection)
    return any(name in one.left_out and one.left_out[name].state == "held_back" for one in live)


async def settled(runtime: "Runtime", config: "Config", revision: "Revision") -> "Revision":
    """What became of a toggle's revision; where it failed, plugins.toml says again what runs."""
    from pegboard.plugins.toggle import take_back

    revision = await decided(runtime, revision)
    if revision.state == "failed":
        await take_back(runtime.database, config, revision)
    return revision


async def decided(runtime: "Runtime", revision: "Revision") -> "Revision":
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
