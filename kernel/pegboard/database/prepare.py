"""Everything that a database needs before a process serves from it: the roles, then the migrations."""

from collections.abc import Sequence

from pegboard.config.model import Config
from pegboard.database.migrate import MigrationReport, migrate
from pegboard.database.migrations import App
from pegboard.database.roles import bootstrap
from pegboard.database.urls import APP, OWNER, SYSTEM, DatabaseUrls, master_key_bytes

__all__ = ("prepare",)


async def prepare(config: Config, apps: Sequence[App]) -> MigrationReport:
    """Make the roles where they are missing and run what is pending of the kernel's and the apps' migrations.

    The passwords of roles whose URLs are configured are their administrator's business and stay as they are.

    Raises:
        ValueError: a URL or the master key is missing or not readable.
        DatabaseSetupError: the database isn't set up in a way that Pegboard can run on.
        MigrationError: one of the kernel's own migrations failed.
        OSError, asyncpg.PostgresError: the server can't be reached or refuses us.
    """
    urls = DatabaseUrls.from_config(config)
    configured = {APP: config.database.app_url, SYSTEM: config.database.system_url}
    derived = [OWNER, *(role for role, url in configured.items() if not url.reveal())]
    await bootstrap(urls.owner, master_key_bytes(config), derived=derived)
    return await migrate(urls.owner, apps)
