"""Fixtures of all tests: servers once a run, a database per xdist worker, a tenant per test."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from pegboard.config.model import Config
from pegboard.testing import kit
from pegboard.testing.shared import use_servers

from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform
from tests.support.servers import BUILT_IN, POSTGRES, TEMPLATE, create_database, make_config

collect_ignore = ["contracts/thirdparty"]  # a project of its own, with its own tests


@pytest.fixture(scope="session")
def worker_name() -> str:
    """The xdist worker's name, or `main`."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The test server's superuser URL."""
    use_servers()
    return os.environ[POSTGRES]


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The test server's Valkey, a database number per worker."""
    use_servers()
    return kit.redis_url()


@pytest.fixture(scope="session")
async def database_url(worker_name: str, postgres_url: str) -> str:
    """The superuser's URL of this worker's migrated database."""
    return await create_database(postgres_url, f"pegboard_{worker_name}", template=TEMPLATE)


@pytest.fixture(scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    """The mail server of the platform's tests: what `platform.drain()` sends is here then."""
    async with Mailbox.open() as opened:
        yield opened


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str, mailbox: Mailbox) -> Config:
    """A configuration with all built-in plugins on, and mail through a server of the tests."""
    folder: Path = tmp_path_factory.mktemp("config")
    return make_config(folder, database_url, redis_url, plugins=BUILT_IN, **mailbox.environ)


@pytest.fixture(scope="session")
async def platform(config: Config) -> AsyncIterator[TestPlatform]:
    """A running platform in this process."""
    running = TestPlatform(config)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def tenant(platform: TestPlatform) -> UUID:
    """A fresh tenant."""
    return await platform.tenant()
