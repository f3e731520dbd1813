"""Which plugins the platform is about to run: for whatever prepares the database before it does."""

import asyncpg

from pegboard.config.model import Config
from pegboard.database.reach import reaching
from pegboard.database.urls import DatabaseUrls
from pegboard.plugins.wanted import enabled_plugins, with_plugins

__all__ = ("effective_config",)

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
    url = DatabaseUrls.from_config(config).owner
    with reaching(url):
        connection = await asyncpg.connect(url, timeout=10)
    try:
        exists = await connection.fetchval("SELECT to_regclass('kernel_plugin_revisions') IS NOT NULL")
        rows = await connection.fetch(_WANTED) if exists else []
    finally:
        await connection.close()
    return with_plugins(config, enabled_plugins(config) | {row[0] for row in rows}) if rows else config
