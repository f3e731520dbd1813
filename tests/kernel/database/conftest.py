"""Databases for the tests of the database layer: fresh ones, on each claimed major."""

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from pegboard.config.model import Config, DatabaseConfig, SecretsConfig
from pegboard.database.migrate import migrate
from pegboard.database.pool import Database
from pegboard.database.roles import bootstrap
from pegboard.database.urls import OWNER, derive_url
from pegboard.embedded.postgres import EmbeddedPostgres
from pegboard_sdk.settings import Secret

from tests.kernel.database.debian import DebianPostgres, why_not

MASTER_KEY = secrets.token_bytes(32)


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """The superuser's URL of a PostgreSQL 18 of this worker's own: these tests change roles, which a server shares."""
    folder = Path(tempfile.mkdtemp(prefix="pg18-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres.start_and_wait(folder / "postgres", durable=False)
    yield server.url
    server.stop_and_wait()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def debian() -> Iterator[str]:
    """The superuser's URL of a PostgreSQL 15."""
    if reason := why_not():
        pytest.skip(reason)
    server = DebianPostgres.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session", params=["18", "15"])
def admin_url(request: pytest.FixtureRequest) -> str:
    """The superuser's URL of a server of each claimed major."""
    return request.getfixturevalue("embedded" if request.param == "18" else "debian")


@pytest.fixture(scope="session")
def master_key() -> bytes:
    """The roles' passwords follow from it."""
    return MASTER_KEY


@pytest.fixture(scope="session")
def numbers() -> Iterator[str]:
    """Names that no other database or role has."""
    return (f"test_{number}" for number in count())


def make_config(url: str, **database: Any) -> Config:
    """A configuration of nothing but the database."""
    return Config(
        database=DatabaseConfig(url=Secret(url), **database), secrets=SecretsConfig(master_key=Secret(MASTER_KEY.hex()))
    )


def database_of(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def make_database(admin_url: str, name: str) -> str:
    """An empty database; gives the superuser's URL."""
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return database_of(admin_url, name)


async def drop_database(admin_url: str, name: str) -> None:
    """Remove a database and whoever is connected to it."""
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@pytest.fixture
async def empty_url(admin_url: str, numbers: Iterator[str]) -> AsyncIterator[str]:
    """A database in which nothing is set up, on each major."""
    name = next(numbers)
    yield await make_database(admin_url, name)
    await drop_database(admin_url, name)


@pytest.fixture
async def url(empty_url: str, master_key: bytes) -> str:
    """A database with the roles and no tables, on each major."""
    await bootstrap(empty_url, master_key)
    return empty_url


@pytest.fixture(scope="session")
async def kernel_url(admin_url: str, numbers: Iterator[str], master_key: bytes) -> str:
    """A database with the kernel's tables, on each major: what tests add to it they take away."""
    url = await make_database(admin_url, next(numbers))
    await bootstrap(url, master_key)
    await migrate(url, ())
    return url


@pytest.fixture
async def owner(kernel_url: str, master_key: bytes) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to it, in a transaction that is rolled back."""
    connection = await asyncpg.connect(derive_url(kernel_url, OWNER, master_key))
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture(scope="module")
async def probe_url(embedded: str, numbers: Iterator[str], master_key: bytes) -> AsyncIterator[str]:
    """A database with the kernel's tables and a tenant table `probe`, which tests may fill."""
    name = next(numbers)
    url = await make_database(embedded, name)
    await bootstrap(url, master_key)
    await migrate(url, ())
    owner = await asyncpg.connect(derive_url(url, OWNER, master_key))
    await owner.execute(
        """
        CREATE TABLE probe (
            tenant_id uuid NOT NULL,
            id uuid PRIMARY KEY,
            value text NOT NULL,
            label text,
            parent_id uuid,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE (tenant_id, id),
            CONSTRAINT probe_label UNIQUE (tenant_id, label) DEFERRABLE INITIALLY DEFERRED,
            CONSTRAINT probe_parent
                FOREIGN KEY (tenant_id, parent_id) REFERENCES probe (tenant_id, id) ON DELETE CASCADE
        );
        CREATE INDEX probe_parents ON probe (tenant_id, parent_id);
        SELECT kernel_protect_table('probe', 'SELECT, INSERT, UPDATE, DELETE');
        """
    )
    await owner.close()
    yield url
    await drop_database(embedded, name)


@pytest.fixture(scope="module")
async def database(probe_url: str) -> AsyncIterator[Database]:
    """The pools on it: two connections of *app*, so that tenants must share."""
    opened = await Database.open(make_config(probe_url, acquire_timeout=0.5, statement_timeout=5.0), pool_size=2)
    yield opened
    await opened.close()
