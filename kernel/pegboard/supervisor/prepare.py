"""What has to be done to the database before the processes start; run by `pegboard up` as a process of its own.

Plugins' code and migrations run here: whatever they do, the supervisor lives on. The outcome is one JSON object on
standard output, since it may hold the first administrator's password, which must not get into a log.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import msgspec

from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.database.migrations import MigrationError
from pegboard.database.pool import Database
from pegboard.database.prepare import prepare
from pegboard.database.reach import explain
from pegboard.database.roles import DatabaseSetupError, check_roles
from pegboard.identity.bootstrap import BootstrapError, Credentials, ensure_administrator, has_administrator
from pegboard.plugins import lifecycle_audit
from pegboard.plugins.effective import effective_config, quarantined_before
from pegboard.plugins.loading import load_in_time
from pegboard.plugins.manager import is_built_in, load_plugins
from pegboard.plugins.preparation import failures, put_into_quarantine, quarantine_crashed
from pegboard.plugins.processes import node_name
from pegboard.plugins.registry import Registry
from pegboard.plugins.start_marks import StartMarks
from pegboard.runtime import Runtime
from pegboard.supervisor.outcome import Administrator, Outcome
from pegboard.taxonomies.seed import seed
from pegboard.telemetry.logging import configure_logging

__all__ = ("main",)


async def run(config: Config) -> Outcome:
    """Migrate, make the first administrator, seed the taxonomies."""
    config = await effective_config(config)
    marks = StartMarks(Path(config.var))
    # Not imported again: the database, which will hold it, may yet have to be made.
    crashed = {name: failure.reason for name, failure in marks.crashed().items()}
    crashed |= await quarantined_before(config)
    registry = await asyncio.to_thread(load_in_time, config, quarantined=crashed, marks=marks)
    found = failures(registry)
    apps = [plugin.app for plugin in registry.plugins if plugin.app is not None and plugin.name != "kernel"]
    report = await prepare(config, apps)
    skipped: Mapping[str, str] = {
        plugin.name: plugin.reason for plugin in registry.skipped if plugin.state in ("failed", "quarantined")
    }
    if report.failed:
        off = crashed | {name: failure.reason for name, failure in found.items()}
        registry = await asyncio.to_thread(load_plugins, config, failed=report.failed, quarantined=off)
    database = await Database.open(config, pool_size=1)
    try:
        await check_roles(database)
        await quarantine_crashed(config, database, marks)
        if found:
            await put_into_quarantine(database, found)
        if config.safe_mode:
            async with database.system_transaction() as connection:
                await lifecycle_audit.safe_mode_started(connection, node_name())
        created = None if await has_administrator(database) else await _first_administrator(config, registry)
        seeded = await seed(database, registry)
    finally:
        await database.close()
    plugins: Sequence[str] = [plugin.name for plugin in registry.plugins if plugin.name != "kernel"]
    return Outcome(
        applied=len(report.applied),
        terms=seeded.added,
        plugins=plugins,
        skipped={**skipped, **{name: f"its migration failed: {why}" for name, why in report.failed.items()}},
        problems=seeded.problems,
        third_parties=not all(is_built_in(plugin.distribution) for plugin in registry.plugins),
        administrator=_shown(created) if created is not None else None,
    )


async def _first_administrator(config: Config, registry: Registry) -> Credentials | None:
    runtime = await Runtime.open(config, pool_size=1)
    try:
        runtime.registry = registry
        return await ensure_administrator(runtime)
    finally:
        await runtime.close()


def _shown(created: Credentials) -> Administrator:
    return Administrator(created.email, created.password.reveal() if created.generated else None)


def main() -> None:
    """The process: exit status 0 and an outcome, or 2 and one with `error`."""
    try:
        config = load_config()
        configure_logging(msgspec.structs.replace(config.log, level="warning"))
        outcome = asyncio.run(run(config))
    except (BootstrapError, ConfigError, DatabaseSetupError, MigrationError, ValueError) as error:
        outcome = Outcome(error=str(error))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        outcome = Outcome(error=explain(error))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    sys.stdout.flush()
    sys.exit(2 if outcome.error else 0)


if __name__ == "__main__":
    main()
