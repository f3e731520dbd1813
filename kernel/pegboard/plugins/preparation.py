"""The steps from a wanted set of plugins to a generation that could run: load, migrate, build, check."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec
import structlog

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.database.migrate import migrate
from pegboard.database.migrations import KERNEL, MigrationError, load_migrations
from pegboard.database.pool import Database
from pegboard.database.roles import DatabaseSetupError
from pegboard.plugins import quarantine
from pegboard.plugins.asking import ask
from pegboard.plugins.failure import Failure
from pegboard.plugins.keeping import going_on
from pegboard.plugins.loading import load_in_time
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import EMPTY, LoadedPlugin, Registry, SkippedPlugin
from pegboard.plugins.start_marks import StartMarks
from pegboard.plugins.wanted import enabled_plugins
from pegboard.taxonomies.seed import seed

__all__ = (
    "PreparationError",
    "check_health",
    "failures",
    "left_out",
    "load",
    "load_ready",
    "load_to_look",
    "migrate_plugins",
    "put_into_quarantine",
    "quarantine_crashed",
    "quarantined_plugins",
    "reasons",
)

log = structlog.get_logger(__name__)


class PreparationError(Exception):
    """The wanted set can't run; the text names the plugins and says why. `failures` are those of plugins' code."""

    def __init__(self, reason: str, failures: Mapping[str, Failure] | None = None) -> None:
        super().__init__(reason)
        self.failures = dict(failures or {})


def reasons(registry: Registry) -> dict[str, str]:
    """Plugins that should be on and are not: name → reason."""
    return {one.name: one.reason for one in registry.skipped if one.state == "failed"}


def left_out(registry: Registry) -> list[SkippedPlugin]:
    """Plugins that should be on and are not, whatever keeps them out."""
    return [one for one in registry.skipped if one.state != "disabled"]


def failures(registry: Registry) -> dict[str, Failure]:
    """Plugins whose code failed when they were loaded: name → what it did."""
    return {one.name: Failure(one.cause, one.reason, one.version) for one in registry.skipped if one.cause is not None}


async def load(config: Config, database: Database, *, must: Collection[str], running: Registry) -> Registry:
    """Load what `config` turns on, in a thread, without what is in quarantine or blocked, and what requires that.

    Raises:
        PreparationError: a plugin of `must` can't be loaded, or one that `running` could load no longer can, and that
            is not because one that it requires is in quarantine or blocked.
    """
    quarantined = await quarantined_plugins(database)
    try:
        registry = await asyncio.to_thread(
            load_in_time,
            config,
            quarantined=quarantined,
            marks=StartMarks(Path(config.var)),
            running=going_on(running),
        )
    except ConfigError as error:
        raise PreparationError("; ".join(str(one) for one in error.all)) from error
    known = reasons(running)
    kept_out = {one.name for one in registry.skipped if one.state in ("quarantined", "blocked", "held_back")}
    excused = _which_need(registry, kept_out)
    new = {
        name: why
        for name, why in reasons(registry).items()
        if name in must or (name not in known and name not in excused)
    }
    if new:
        raise PreparationError(_joined(new), failures(registry))
    return registry


async def quarantined_plugins(database: Database) -> dict[str, str]:
    """Plugins in quarantine: name → why, and what to do."""
    async with database.system_transaction() as connection:
        return {name: one.told for name, one in (await quarantine.standing(connection)).items()}


async def put_into_quarantine(database: Database, found: Mapping[str, Failure]) -> dict[str, str]:
    """Put plugins whose code failed into quarantine: name → why, and what to do."""
    told: dict[str, str] = {}
    async with database.system_transaction() as connection:
        for name, failure in found.items():
            told[name] = (await quarantine.put(connection, name, failure)).told
    for name, failure in found.items():
        log.error("plugin.quarantined", plugin=name, cause=failure.cause, reason=failure.reason)
    return told


async def quarantine_crashed(config: Config, database: Database, marks: StartMarks) -> None:
    """Put plugins into quarantine that ended the processes which imported or started them. What was only tried, and is
    not on, just stays off.
    """
    on = enabled_plugins(config)
    for name in marks.plugins() - on:
        marks.forget(name)
    if crashed := marks.crashed():
        await put_into_quarantine(database, crashed)
        for name in crashed:
            marks.forget(name)


async def load_ready(config: Config, database: Database, running: Registry = EMPTY) -> Registry:
    """Load what `config` turns on. Left out, with the reason, are plugins in quarantine, those whose code fails now,
    which get there by it, and those whose migrations have not run. `running` is what the process runs already.

    Raises:
        ConfigError: `config.strict` is set and a plugin has to be left out. Then none gets into quarantine.
    """
    marks = StartMarks(Path(config.var))
    await quarantine_crashed(config, database, marks)
    quarantined = await quarantined_plugins(database)
    kept = going_on(running)
    registry = await asyncio.to_thread(load_in_time, config, quarantined=quarantined, marks=marks, running=kept)
    if found := failures(registry):
        quarantined |= await put_into_quarantine(database, found)
        registry = await asyncio.to_thread(load_in_time, config, quarantined=quarantined, marks=marks, running=kept)
    return await _without_pending(config, database, registry, quarantined, kept)


async def load_to_look(config: Config, database: Database) -> Registry:
    """What the platform's processes would load, for who only looks: nothing is refused, and none gets into quarantine.

    Raises:
        OSError, asyncpg.PostgresError: the database can't be reached.
    """
    lenient = msgspec.structs.replace(config, strict=False)
    quarantined = await quarantined_plugins(database)
    registry = await asyncio.to_thread(load_in_time, lenient, quarantined=quarantined)
    return await _without_pending(lenient, database, registry, quarantined)


async def _without_pending(
    config: Config,
    database: Database,
    registry: Registry,
    quarantined: Mapping[str, str],
    running: Mapping[str, LoadedPlugin] | None = None,
) -> Registry:
    """`registry` without plugins whose migrations have not run. Of what is `running`, they have."""
    async with database.system_transaction() as connection:
        rows = await connection.fetch("SELECT app_name, name FROM migration")
    ran = {(row["app_name"], row["name"]) for row in rows}
    judged = [one for one in registry.plugins if one.app is not None and one.name not in (KERNEL, *(running or ()))]
    pending = await asyncio.to_thread(_pending, judged, ran)
    if not pending:
        return registry
    return await asyncio.to_thread(load_plugins, config, failed=pending, quarantined=quarantined, running=running)


def _which_need(registry: Registry, off: Collection[str]) -> set[str]:
    """Plugins that are left out because they require, directly or not, one of `off`."""
    found = set(off)
    while more := {
        one.name
        for one in registry.skipped
        if one.name not in found and one.manifest is not None and not found.isdisjoint(one.manifest.requires)
    }:
        found |= more
    return found


def _pending(plugins: Iterable[LoadedPlugin], ran: Collection[tuple[str, str]]) -> dict[str, str]:
    pending: dict[str, str] = {}
    for plugin in plugins:
        assert plugin.app is not None, "it has tables"
        try:
            missing = [
                one for one in load_migrations(plugin.name, plugin.app.migrations) if (plugin.name, one.id) not in ran
            ]
        except MigrationError as error:
            pending[plugin.name] = f"its migrations can't be read: {error.reason}"
        else:
            if missing:
                pending[plugin.name] = (
                    f"its migration {missing[0].file.name} has not run: `pegboard migrate` runs it or says why not"
                )
    return pending


async def migrate_plugins(database: Database, registry: Registry, names: Collection[str]) -> None:
    """Run the migrations of the plugins in `names`, in dependency order, and seed the registry's taxonomies.

    Neither is undone if the revision fails.

    Raises:
        PreparationError: one failed, or the database can't be migrated.
    """
    apps = [plugin.app for plugin in registry.plugins if plugin.app is not None and plugin.name in names]
    if apps:
        try:
            report = await migrate(database.urls.owner, apps)
        except (MigrationError, DatabaseSetupError) as error:
            raise PreparationError(f"migrations can't be run: {error}") from error
        if report.failed:
            failed = {name: f"its migration failed: {why}" for name, why in report.failed.items()}
            raise PreparationError(_joined(failed))
    await seed(database, registry)


async def check_health(plugins: Iterable[LoadedPlugin], names: Collection[str]) -> None:
    """Ask the plugins in `names` how they are, now that they have started; not how programs are that aren't ours.

    Raises:
        PreparationError: one is not well.
    """
    unwell: dict[str, str] = {}
    for plugin in plugins:
        if plugin.name not in names:
            continue
        for check in plugin.health_checks:
            if check.upstream:
                continue
            if (detail := await ask(check)) is not None:
                unwell[plugin.name] = f"its health check {check.name} says: {detail}"
    if unwell:
        raise PreparationError(_joined(unwell), {name: Failure("health", why) for name, why in unwell.items()})


def _joined(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in sorted(reasons.items()))
