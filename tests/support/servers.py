"""Real servers for the test run: PostgreSQL and Valkey, started once, and a migrated database to copy."""

import asyncio
import base64
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from pegboard.config.load import load_config
from pegboard.config.model import Config, LogConfig
from pegboard.database.migrate import migrate
from pegboard.database.roles import bootstrap
from pegboard.database.urls import master_key_bytes
from pegboard.embedded.postgres import EmbeddedPostgres
from pegboard.embedded.valkey import EmbeddedValkey
from pegboard.plugins.manager import load_plugins
from pegboard.taxonomies.seed import seed
from pegboard.telemetry.logging import configure_logging

__all__ = ("BUILT_IN", "Servers", "database_of", "make_config")

POSTGRES, REDIS, MASTER_KEY = "PEGBOARD_TEST_POSTGRES", "PEGBOARD_TEST_REDIS", "PEGBOARD_TEST_MASTER_KEY"
TEMPLATE = "pegboard_template"
BUILT_IN = ("ai_providers", "creation_studio", "finance", "governance", "integrations")
HIGH = "1000000"


def database_of(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def make_config(
    folder: Path, database_url: str, redis_url: str, *, plugins: tuple[str, ...] = BUILT_IN, **environ: str
) -> Config:
    """A configuration with the plugins on, for a database and Redis of the tests. Rates are out of the way unless
    `environ` says otherwise.
    """
    path = folder / "plugins.toml"
    if not path.exists():
        tables = [f"[plugins.{name}]\nenabled = {str(name in plugins).lower()}\n" for name in BUILT_IN]
        tables = [f"{table}sandbox = true\n" if "plugins.finance" in table else table for table in tables]
        path.write_text("[pegboard]\nstrict = false\n\n" + "\n".join(tables))
    return load_config(
        path,
        {
            "PEGBOARD_DATABASE__URL": database_url,
            "PEGBOARD_REDIS__URL": redis_url,
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
            "PEGBOARD_HTTP__RATE_PER_IP": HIGH,
            "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": HIGH,
            "PEGBOARD_HTTP__RATE_GUESSABLE": HIGH,
            "PEGBOARD_HTTP__TRUSTED_PROXIES": "127.0.0.1",
            "PEGBOARD_DATABASE__POOL_SIZE": "8",
            "PEGBOARD_LOG__FORMAT": "json",
            **environ,
        },
    )


class Servers:
    """The run's servers. Their addresses are in the environment, where xdist's workers find them."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
        self._folder = folder
        self._postgres = postgres
        self._valkey = valkey

    @classmethod
    def start(cls, *, durable: bool = False) -> Self:
        """Start both and make the template database. `durable` as in production is for benchmarks."""
        configure_logging(LogConfig(level="warning"))
        folder = Path(tempfile.mkdtemp(prefix="pegboard-tests-"))
        folder.chmod(0o755)  # as root the servers run as another user, who must get in
        postgres = EmbeddedPostgres.start_and_wait(folder / "postgres", durable=durable)
        valkey = EmbeddedValkey.start_and_wait(folder / "valkey", durable=durable)
        servers = cls(folder, postgres, valkey)
        os.environ[POSTGRES] = postgres.url
        os.environ[REDIS] = valkey.url
        os.environ[MASTER_KEY] = base64.b64encode(secrets.token_bytes(32)).decode()
        try:
            asyncio.run(make_template(folder))
        except BaseException:
            servers.stop()
            raise
        return servers

    def stop(self) -> None:
        """End both and remove their data."""
        self._valkey.stop_and_wait()
        self._postgres.stop_and_wait()
        shutil.rmtree(self._folder)


async def make_template(folder: Path) -> None:
    """A database with roles, all migrations and taxonomies, for workers to copy."""
    admin = os.environ[POSTGRES]
    await create_database(admin, TEMPLATE)
    config = make_config(folder, database_of(admin, TEMPLATE), os.environ[REDIS])
    await bootstrap(config.database.url.reveal(), master_key_bytes(config))
    registry = await asyncio.to_thread(load_plugins, config)
    apps = [plugin.app for plugin in registry.plugins if plugin.app is not None]
    report = await migrate(config.database.url.reveal(), apps)
    if report.failed:
        raise RuntimeError(f"migrations failed: {report.failed}")
    await seed(config, registry)


async def create_database(admin: str, name: str, *, template: str | None = None) -> str:
    """Make a database, a copy of `template` if one is named. Gives its URL."""
    connection = await asyncpg.connect(admin)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        if template:
            # Grants and ownership of the database itself are not copied.
            await connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO pegboard_app, pegboard_system')
            await connection.execute(f'ALTER DATABASE "{name}" OWNER TO pegboard_owner')
    finally:
        await connection.close()
    return database_of(admin, name)
