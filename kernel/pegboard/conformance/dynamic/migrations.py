"""Migrations: forward, back and forward again, on a database of the platform's."""

import contextlib

import asyncpg
from pegboard_sdk.ids import new_id

from pegboard.conformance.dynamic.rows import RowImpossible, insert_row
from pegboard.conformance.dynamic.store import tenant_tables
from pegboard.conformance.subject import Subject
from pegboard.database.catalog import Catalog, read_catalog
from pegboard.database.drift import find_drift
from pegboard.database.migrate import migrate, migrate_backwards
from pegboard.database.migrations import MigrationError, load_migrations
from pegboard.plugins.discovery import discover

__all__ = ("check_drift", "check_migrations")

SHOWN = 5


async def check_migrations(subject: Subject) -> list[str]:
    """Forwards and backwards are each other's opposite, with rows in the tables too, and both can be done again."""
    app = subject.plugin.app
    if app is None:
        return []
    try:
        count = len(load_migrations(app.name, app.migrations))
    except MigrationError as error:
        return [f"the migrations can't be read: {error.reason}"]
    if not count:
        return [f"{app.migrations} holds no migration"] if app.tables else []
    async with subject.scratch() as url:
        before = await _catalog(subject, url)
        report = await migrate(url, [app], lock_timeout=2.0, statement_timeout=20.0)
        if report.failed:
            return [f"forwards fails: {why}" for why in report.failed.values()]
        forward = await _catalog(subject, url)
        await _fill(subject, url)
        try:
            await migrate_backwards(url, app, lock_timeout=2.0, statement_timeout=20.0)
        except MigrationError as error:
            return [f"backwards fails: {error.reason}"]
        found = [f"backwards leaves {line}" for line in _shown(before, await _catalog(subject, url))]
        report = await migrate(url, [app], lock_timeout=2.0, statement_timeout=20.0)
        found += [f"forwards fails after backwards: {why}" for why in report.failed.values()]
        if not report.failed:
            again = _shown(forward, await _catalog(subject, url))
            found += [f"forwards after backwards makes something else: {line}" for line in again]
    return found


async def check_drift(subject: Subject) -> list[str]:
    """The tables that the plugin declares are those that its migrations make, by name, type and nullability."""
    app = subject.plugin.app
    if app is None:
        return []
    connection = await asyncpg.connect(subject.owner_url)
    try:
        found = await find_drift(connection, [app])
    finally:
        await connection.close()
    longer = tuple(f"{name}_" for name in discover().candidates if name.startswith(f"{subject.name}_"))
    return [line for line in found if not line.startswith(longer)]


async def _fill(subject: Subject, url: str) -> None:
    """A row in each table: going back is for platforms that were used."""
    connection = await asyncpg.connect(url)
    try:
        for table in await tenant_tables(connection, subject.tables):
            async with connection.transaction():
                # Where none can be made up, tenancy.all_tried says so.
                with contextlib.suppress(RowImpossible):
                    await insert_row(connection, table, new_id())
    finally:
        await connection.close()


async def _catalog(subject: Subject, url: str) -> Catalog:
    connection = await asyncpg.connect(subject.owner_of(url))
    try:
        return await read_catalog(connection)
    finally:
        await connection.close()


def _shown(wanted: Catalog, found: Catalog) -> list[str]:
    """The first few differences: `+` is there and should not be, `-` the other way round."""
    lines = [line.splitlines()[0] for line in wanted.differences(found)]
    more = [f"and {len(lines) - SHOWN} more differences"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more
