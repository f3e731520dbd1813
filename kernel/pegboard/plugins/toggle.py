"""Turning plugins on and off: `plugins.toml` and PostgreSQL are both written, or neither is."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.plugins import quarantine, revisions, silence
from pegboard.plugins.blocking import blocked_reason
from pegboard.plugins.cascade import needed_by, spoiled, which_need
from pegboard.plugins.discovery import Discovery, discover
from pegboard.plugins.errors import PluginBlocked, PluginDependency, PluginsFileLocked, PluginUnknown, PluginUnusable
from pegboard.plugins.planning.probe import Probe
from pegboard.plugins.plugins_file import FileEdit, edit_file, file_key, with_enabled
from pegboard.plugins.processes import Process, node_name
from pegboard.plugins.revisions import Origin, Revision
from pegboard.plugins.wanted import enabled_plugins, source_hash

__all__ = (
    "Audit",
    "Guard",
    "Switches",
    "Toggled",
    "check_switches",
    "refuse_environment",
    "take_back",
    "toggle",
    "with_cascade",
    "write_file",
)


class Switches(msgspec.Struct, frozen=True):
    """Plugins to turn on and plugins to turn off, at once."""

    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()

    @property
    def each(self) -> dict[str, bool]:
        """Name → whether it is to be on."""
        return {name: name in self.on for name in sorted(self.on | self.off)}

    def applied_to(self, plugins: Collection[str]) -> frozenset[str]:
        """The plugins that are on afterwards."""
        return frozenset(plugins) - self.off | self.on

    def beside(self, asked: "Switches") -> list[str]:
        """Whom the cascade takes along: those of the plugins that `asked` doesn't name."""
        return sorted((self.on | self.off) - (asked.on | asked.off))


class Toggled(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a toggle. `changed`: what is switched by it, the cascade's included; `gone`: processes that were
    silent for so long that they were taken for dead.
    """

    revision: Revision
    changed: Switches
    gone: list[Process] = []


Audit = Callable[[Any, Revision, Switches], Awaitable[None]]
Guard = Callable[[Any, Revision | None, str], Awaitable[None]]


async def toggle(
    database: Database,
    config: Config,
    switches: Switches,
    *,
    probe: Probe,
    cascade: bool = False,
    origin: Origin,
    requested_by: UUID | None = None,
    audit: Audit | None = None,
    guard: Guard | None = None,
    environ: Mapping[str, str] | None = None,
    patience: float = silence.PATIENCE,
) -> Toggled:
    """Make the wanted set one with `on` and without `off`.

    `config` is the configuration as it is written now; `probe` is how code that is turned on is looked at. `cascade`
    turns on, too, what those need, and off, what needs those: in one revision. What is turned on is let out of
    quarantine. `audit` writes the entries in the same transaction, for what really changes; where everything is already
    as it should be, nothing is written but the file, if that said otherwise. `guard` is called while nobody else may
    change what is wanted, with what is wanted and what the file is known by, and refuses by raising. Processes take the
    revision up by themselves: it may still fail in one of them, and then nothing changes. Processes that an outage of
    the database silenced have `patience` seconds to be heard of again.

    A crash leaves file and database written, or neither, or the file alone: then the processes take it up like an edit
    by hand.

    Raises:
        PluginUnknown: no installed package offers one of the plugins.
        PluginDependency: one needs others that are off, or others that are on need it.
        PluginBlocked, PluginUnusable: one must not be loaded, or can't be.
        PluginsFileLocked, PluginsFileUnwritable: the file doesn't decide, or can't be written.
    """
    found = await asyncio.to_thread(discover)
    path = Path(config.path)
    silent = await silence.still_silent(database, patience=patience)
    while True:
        async with database.system_transaction() as connection:
            base = await revisions.wanted_revision(connection)
            kept_out = {name: one.told for name, one in (await quarantine.standing(connection)).items()}
        plugins = enabled_plugins(config) if base is None else frozenset(base.plugins)
        wanted = await asyncio.to_thread(check_switches, found, config, plugins, switches, cascade=cascade)
        refuse_environment(wanted.each, environ)
        if wanted.on - plugins or wanted.on.intersection(kept_out):
            await _check_loading(probe, found, config, wanted, plugins, kept_out)
        changed = Switches(wanted.on - plugins, wanted.off & plugins)
        edit: FileEdit | None = None
        gone: list[Process] = []
        try:
            async with database.system_transaction() as connection:
                await revisions.lock(connection)
                now = await revisions.wanted_revision(connection)
                edit = await asyncio.to_thread(FileEdit, path, partial(with_enabled, switches=wanted.each))
                if guard is not None:
                    await guard(connection, now, edit.hash_before)
                if now is not None and (base is None or now.number != base.number):
                    # Somebody else was faster: judge again.
                    continue
                source = source_hash(edit.hash, wanted.applied_to(enabled_plugins(config)))
                await revisions.record_file(connection, node_name(), file_key(path), source)
                released = [
                    name for name in sorted(wanted.on) if await quarantine.release(connection, name, by=requested_by)
                ]
                changed = Switches(changed.on.union(released), changed.off)
                revision = now
                if now is None or changed.each:
                    gone = await silence.give_up_on(connection, silent)
                    revision = await revisions.propose(
                        connection,
                        wanted.applied_to(plugins),
                        file_hash=source,
                        origin=origin,
                        requested_by=requested_by,
                    )
                    if audit is not None:
                        await audit(connection, revision, changed)
                assert revision is not None
                # Last: from here on only the commit can fail.
                await asyncio.to_thread(edit.write)
        except BaseException:  # a cancellation too: file and database change together. It goes on from here
            if edit is not None:
                await asyncio.shield(asyncio.to_thread(edit.put_back))
            raise
        finally:
            if edit is not None:
                edit.close()
        if revision is not now:
            await revisions.notify(database)
        return Toggled(revision=revision, changed=changed, gone=gone)


async def take_back(database: Database, config: Config, failed: Revision) -> None:
    """Have the file say again what is on, after a revision failed that a toggle of ours had asked for.

    Only the file changes: what runs is as it was, and who is in quarantine stays there. Nothing happens where somebody
    has asked for something else since.

    Raises:
        PluginsFileUnwritable: it can't be written any more.
    """
    path = Path(config.path)
    edit: FileEdit | None = None
    try:
        async with database.system_transaction() as connection:
            await revisions.lock(connection)
            active = await revisions.active_revision(connection)
            wanted = await revisions.wanted_revision(connection)
            if active is None or wanted is None or wanted.number != active.number:
                return
            on, tried = frozenset(active.plugins), frozenset(failed.plugins)
            switches = Switches(on - tried, tried - on)
            edit = await asyncio.to_thread(FileEdit, path, partial(with_enabled, switches=switches.each))
            source = source_hash(edit.hash, switches.applied_to(enabled_plugins(config)))
            await revisions.record_file(connection, node_name(), file_key(path), source)
            # Last: from here on only the commit can fail.
            await asyncio.to_thread(edit.write)
    except BaseException:  # a cancellation too: file and database change together. It goes on from here
        if edit is not None:
            await asyncio.shield(asyncio.to_thread(edit.put_back))
        raise
    finally:
        if edit is not None:
            edit.close()


async def write_file(config: Config, switches: Switches, *, probe: Probe, cascade: bool = False) -> Switches:
    """Toggle in the file alone, where there is no platform yet; gives what was switched.

    Raises:
        DomainError: see `toggle`.
    """
    on = enabled_plugins(config)
    found = await asyncio.to_thread(discover)
    wanted = await asyncio.to_thread(check_switches, found, config, on, switches, cascade=cascade)
    refuse_environment(wanted.each)
    changed = Switches(wanted.on - on, wanted.off & on)
    if changed.on:
        await _check_loading(probe, found, config, wanted, on, {})
    await asyncio.to_thread(edit_file, Path(config.path), lambda text: with_enabled(text, wanted.each))
    return changed


def with_cascade(found: Discovery, plugins: Collection[str], switches: Switches) -> Switches:
    """The switches with what they need turned on, too, and what needs them turned off. `plugins` are on."""
    manifests = {name: candidate.manifest for name, candidate in found.candidates.items()}
    return Switches(
        switches.on | set(needed_by(switches.on, set(plugins) - switches.off, manifests)),
        switches.off | set(which_need(switches.off, plugins, manifests)),
    )


def check_switches(
    found: Discovery,
    config: Config,
    plugins: frozenset[str],
    switches: Switches,
    *,
    cascade: bool = False,
) -> Switches:
    """Refuse what manifests, pins and blocks say can't work, before anything is written; gives all switches, the
    cascade's included. It reads the files of pinned plugins: call it in a thread. `plugins` are those that are on.

    Raises:
        PluginUnknown, PluginDependency, PluginBlocked, PluginUnusable: see `toggle`.
    """
    for name in sorted(switches.on | switches.off):
        installed = name in found.candidates or name in found.broken
        if not installed and (name in switches.on or name not in plugins):
            raise PluginUnknown(f"No installed package offers a plugin named {name}: install it first.")
    wanted = with_cascade(found, plugins, switches)
    if wanted.on & wanted.off:
        both = ", ".join(sorted(wanted.on & wanted.off))
        raise PluginDependency(f"{both} would have to be on and off at once: ask for one of the two.")
    if not cascade:
        refuse_cascade(found, plugins, switches)
    for name in sorted(wanted.on):
        _check_usable(found, config, name)
    manifests = {name: candidate.manifest for name, candidate in found.candidates.items()}
    for name, why in sorted(spoiled(plugins, wanted.applied_to(plugins), manifests).items()):
        who = ", ".join(sorted(switches.on or switches.off))
        raise PluginDependency(
            f"{name} can't be enabled: {why}" if name in wanted.on else f"{who} would spoil {name}: {why}"
        )
    return wanted


def refuse_cascade(found: Discovery, plugins: Collection[str], switches: Switches) -> None:
    """Refuse switches that others hang on.

    Raises:
        PluginDependency: the text names them all, in the order in which they go.
    """
    manifests = {name: candidate.manifest for name, candidate in found.candidates.items()}
    for name in sorted(switches.off):
        others = [one for one in which_need([name], plugins, manifests) if one not in switches.off]
        if others:
            raise PluginDependency(
                f"{name} is needed by {_listed(others)}: disable {_them(others)} first,"
                f" or {_cascading('disable', name)}"
            )
    for name in sorted(switches.on):
        off = [one for one in needed_by([name], set(plugins) - switches.off, manifests) if one not in switches.on]
        missing = [one for one in off if one not in found.candidates]
        if missing:
            raise PluginDependency(f"{name} needs {_listed(missing)}: install {_them(missing)} first.")
        if off:
            raise PluginDependency(
                f"{name} needs {_listed(off)}: enable {_them(off)} first, or {_cascading('enable', name)}"
            )


def refuse_environment(names: Iterable[str], environ: Mapping[str, str] | None = None) -> None:
    """Refuse to write what a variable overrides.

    Raises:
        PluginsFileLocked: the environment decides whether one of the plugins is on.
    """
    variables = {key.upper() for key in (os.environ if environ is None else environ)}
    for name in names:
        variable = f"PEGBOARD_PLUGINS__{name.upper()}__ENABLED"
        if variable in variables:
            raise PluginsFileLocked(
                f"{variable} is set and decides whether {name} is on: change it there, and restart."
            )


def _check_usable(found: Discovery, config: Config, name: str) -> None:
    if name in found.broken:
        raise PluginUnusable(f"{name} can't be enabled: {found.broken[name]}")
    if name not in found.candidates:
        raise PluginDependency(f"{name} is needed and not installed: install it first.")
    blocked = blocked_reason(config.plugins.get(name), found.candidates[name])
    if blocked is not None:
        raise PluginBlocked(f"{name} can't be enabled: {blocked}")


async def _check_loading(
    probe: Probe,
    found: Discovery,
    config: Config,
    wanted: Switches,
    plugins: frozenset[str],
    quarantined: Mapping[str, str],
) -> None:
    """Refuse what can't be imported. `plugins` are on; those that are `quarantined` (name → why) are not imported."""
    out = {name: why for name, why in quarantined.items() if name not in wanted.on}
    after = wanted.applied_to(plugins)
    manifests = {name: candidate.manifest for name, candidate in found.candidates.items()}
    for name, why in sorted(out.items()):
        for other in which_need([name], after, manifests):
            if other in wanted.on:
                raise PluginUnusable(f"{other} can't be enabled: it requires {name}, which is off: {why}")
    probed = await probe(config, after.difference(out))
    for name in sorted(wanted.on.intersection(probed.failed)):
        raise PluginUnusable(f"{name} can't be enabled: {probed.failed[name]}")


def _cascading(command: str, name: str) -> str:
    return f"all at once: `pegboard plugins {command} {name} --cascade` (over the API: `?cascade=true`)."


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
