"""Which plugins the platform is about to run: for whatever prepares the database before it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from pegboard.config.model import Config
from pegboard.database.reach import reaching
from pegboard.database.urls import DatabaseUrls
from pegboard.plugins import quarantine
from pegboard.plugins.wanted import enabled_plugins, with_plugins

__all__ = ("effective_config", "quarantined_before")

_WANTED = """
SELECT unnest(plugins) FROM kernel_plugin_revisions WHERE number =
    (SELECT max(number) FROM kernel_plugin_revisions WHERE state IN ('preparing', 'active'))
"""


async def effective_config(config: Config) -> Config:
    """`config` with those plugins on, too, that the wanted revision has and the file doesn't: they will run, so their
    migrations have to.

    Raises:
        ValueError: no database is configured.
        OSError, asyncpg.PostgresError: it can't be reached or refuses us.
    """
    async with _owner(config) as connection:
        exists = await connection.fetchval("SELECT to_regclass('kernel_plugin_revisions') IS NOT NULL")
        rows = await connection.fetch(_WANTED) if exists else []
    return with_plugins(config, enabled_plugins(config) | {row[0] for row in rows}) if rows else config


async def quarantined_before(config: Config) -> dict[str, str]:
    """The plugins in quarantine, name → why; none in a database that has not been migrated yet.

    Raises:
        ValueError, OSError, asyncpg.PostgresError: see `effective_config`.
    """
    async with _owner(config) as connection:
        return {name: one.told for name, one in (await quarantine.standing(connection)).items()}


@asynccontextmanager
async def _owner(config: Config) -> AsyncIterator[asyncpg.Connection]:
    url = DatabaseUrls.from_config(config).owner
    with reaching(url):
        connection: asyncpg.Connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()
