"""Real servers for a test run: PostgreSQL and Valkey, started once, and migrated databases to copy."""

import asyncio
import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import tomlkit

from pegboard.config.load import load_config
from pegboard.config.model import Config, LogConfig
from pegboard.database.migrate import migrate
from pegboard.database.roles import bootstrap
from pegboard.database.urls import master_key_bytes
from pegboard.embedded.postgres import EmbeddedPostgres
from pegboard.embedded.valkey import EmbeddedValkey
from pegboard.plugins.discovery import discover
from pegboard.plugins.manager import load_plugins
from pegboard.taxonomies.seed import seed
from pegboard.telemetry.logging import configure_logging

__all__ = (
    "BARE",
    "ENVIRONMENT",
    "MASTER_KEY",
    "POSTGRES",
    "REDIS",
    "TEMPLATE",
    "Servers",
    "config_for_tests",
    "create_database",
    "database_of",
    "drop_database",
    "write_config",
)

POSTGRES, REDIS, MASTER_KEY = "PEGBOARD_TEST_POSTGRES", "PEGBOARD_TEST_REDIS", "PEGBOARD_TEST_MASTER_KEY"
ENVIRONMENT = (POSTGRES, REDIS, MASTER_KEY)
"""The variables in which child processes find the run's servers."""
BARE = "pegboard_bare"
"""A database with roles and the kernel's tables, to copy."""
TEMPLATE = "pegboard_template"
"""A database with the tables and taxonomies of all installed plugins, to copy."""
HIGH = "1000000"


def database_of(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def write_config(
    path: Path, plugins: Mapping[str, bool], settings: Mapping[str, Mapping[str, Any]], *, strict: bool = False
) -> None:
    """Write a `plugins.toml` with `plugins` on or off and their `settings`."""
    tables = {name: {"enabled": on, **settings.get(name, {})} for name, on in plugins.items()}
    path.write_text(tomlkit.dumps({"pegboard": {"strict": strict}, "plugins": tables}))


def config_for_tests(path: Path, database_url: str, redis_url: str, **environ: str) -> Config:
    """The configuration of `path` for a database and Redis of the tests. Rates are out of the way unless `environ` says
    otherwise.
    """
    return load_config(
        path,
        {
            "PEGBOARD_DATABASE__URL": database_url,
            "PEGBOARD_REDIS__URL": redis_url,
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
            "PEGBOARD_HTTP__RATE_PER_IP": HIGH,
            "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": HIGH,
            "PEGBOARD_HTTP__RATE_GUESSABLE": HIGH,
            "PEGBOARD_HTTP__GUESS_FAILURES": HIGH,
            "PEGBOARD_HTTP__TRUSTED_PROXIES": "127.0.0.1",
            "PEGBOARD_HTTP__ALLOWED_HOSTS": "*",
            "PEGBOARD_DATABASE__POOL_SIZE": "8",
            "PEGBOARD_OUTBOUND__PRIVATE_HOSTS": '{"*": ["127.0.0.1", "::1"]}',
            # The loop is the test's own: a debugger, or a state machine between two steps, may hold it for long.
            "PEGBOARD_ISOLATION__LOOP_ENDED_AFTER": "3600",
            "PEGBOARD_LOG__FORMAT": "json",
            **environ,
        },
    )


class Servers:
    """The run's servers. Their addresses are in the environment, where child processes find them."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
        self._folder = folder
        self._postgres = postgres
        self._valkey = valkey

    @classmethod
    def start(cls, *, durable: bool = False) -> Self:
        """Start both and make the databases to copy. `durable` as in production is for benchmarks."""
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
            asyncio.run(_make_templates(folder / "plugins.toml"))
        except BaseException:  # an interrupt too must not leave servers running. It goes on from here
            servers.stop()
            raise
        return servers

    def stop(self) -> None:
        """End both and remove their data."""
        self._valkey.stop_and_wait()
        self._postgres.stop_and_wait()
        shutil.rmtree(self._folder)


async def _make_templates(path: Path) -> None:
    """A plugin that can't be loaded or migrated is left out: who turns it on is told."""
    admin, redis = os.environ[POSTGRES], os.environ[REDIS]
    write_config(path, dict.fromkeys(discover().candidates, True), {})
    config = config_for_tests(path, await create_database(admin, BARE), redis)
    await bootstrap(config.database.url.reveal(), master_key_bytes(config))
    await migrate(config.database.url.reveal(), [])
    config = config_for_tests(path, await create_database(admin, TEMPLATE, template=BARE), redis)
    registry = await asyncio.to_thread(load_plugins, config)
    apps = [plugin.app for plugin in registry.plugins if plugin.app is not None]
    await migrate(config.database.url.reveal(), apps)
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


async def drop_database(admin: str, names: Collection[str]) -> None:
    """Drop databases, whoever is connected to them."""
    connection = await asyncpg.connect(admin)
    try:
        for name in names:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()
