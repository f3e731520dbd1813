"""Turning a plugin on or off, and waiting until all processes have."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import operator_of, run
from pegboard.cli.plugins._overview import platform_database

if TYPE_CHECKING:
    from pegboard.config.model import Config
    from pegboard.plugins.revisions import Revision
    from pegboard.runtime import Runtime

__all__ = ("toggle",)

DECISION_SECONDS = 120.0


def toggle(cli: CommandLine, name: str, enabled: bool, *, wait: bool, as_json: bool) -> None:
    """Toggle, and say what came of it.

    Raises:
        CommandError: it could not be done; nothing changed.
    """
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
    async with platform_database(cli) as runtime:
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
