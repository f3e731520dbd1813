"""The steps from a wanted set of plugins to a generation that could run: load, migrate, build, check."""

import asyncio
from collections.abc import Collection, Iterable, Mapping

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.database.migrate import migrate
from pegboard.database.migrations import KERNEL, MigrationError, load_migrations
from pegboard.database.pool import Database
from pegboard.database.roles import DatabaseSetupError
from pegboard.plugins.hooks import describe
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.taxonomies.seed import seed

__all__ = ("PreparationError", "check_health", "load", "load_ready", "migrate_plugins", "reasons")


class PreparationError(Exception):
    """The wanted set can't run; the text names the plugins and says why."""


def reasons(registry: Registry) -> dict[str, str]:
    """Plugins that should be on and are not: name → reason."""
    return {one.name: one.reason for one in registry.skipped if one.state == "failed"}


async def load(config: Config, *, must: Collection[str], running: Registry) -> Registry:
    """Load what `config` turns on, in a thread.

    Raises:
        PreparationError: a plugin of `must` can't be loaded, or one that `running` could load no longer can.
    """
    try:
        registry = await asyncio.to_thread(load_plugins, config)
    except ConfigError as error:
        raise PreparationError("; ".join(str(one) for one in error.all)) from error
    known = reasons(running)
    new = {name: why for name, why in reasons(registry).items() if name in must or name not in known}
    if new:
        raise PreparationError(_joined(new))
    return registry


async def load_ready(config: Config, database: Database) -> Registry:
    """Load what `config` turns on and leave out, with the reason, whose migrations have not run.

    Raises:
        ConfigError: `config.strict` is set and a plugin has to be left out.
    """
    registry = await asyncio.to_thread(load_plugins, config)
    async with database.system_transaction() as connection:
        rows = await connection.fetch("SELECT app_name, name FROM migration")
    ran = {(row["app_name"], row["name"]) for row in rows}
    pending = await asyncio.to_thread(_pending, registry, ran)
    return await asyncio.to_thread(load_plugins, config, failed=pending) if pending else registry


def _pending(registry: Registry, ran: Collection[tuple[str, str]]) -> dict[str, str]:
    pending: dict[str, str] = {}
    for plugin in registry.plugins:
        if plugin.app is None or plugin.name == KERNEL:
            continue
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
    """Ask the plugins in `names` how they are, now that they have started.

    Raises:
        PreparationError: one is not well.
    """
    unwell: dict[str, str] = {}
    for plugin in plugins:
        if plugin.name not in names:
            continue
        for check in plugin.health_checks:
            try:
                async with asyncio.timeout(check.timeout):
                    detail = await check.check()
            except TimeoutError:
                detail = f"no answer within {check.timeout:g} s"
            except Exception as error:  # noqa: BLE001  # whatever a plugin's check raises means that it is unwell
                detail = describe(error)
            if detail is not None:
                unwell[plugin.name] = f"its health check {check.name} says: {detail}"
    if unwell:
        raise PreparationError(_joined(unwell))


def _joined(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in sorted(reasons.items()))
