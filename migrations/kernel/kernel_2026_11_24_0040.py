"""Which pins and blocks a machine's `plugins.toml` had when it was last read: what changes in them is on record."""

from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "pins and blocks of plugins.toml"


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=("ALTER TABLE kernel_plugin_files ADD COLUMN decisions jsonb",),
        backwards=("ALTER TABLE kernel_plugin_files DROP COLUMN decisions",),
    )
