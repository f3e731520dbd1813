"""A language model's server, and platforms that are set up in other ways than usual."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from pegboard_sdk import new_id

from tests.plugins.ai_providers.factories import set_up
from tests.support.aimock import AIMock
from tests.support.platform import Account, TestPlatform
from tests.support.servers import BUILT_IN, TEMPLATE, create_database, make_config


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AIMock]:
    """A server that speaks OpenAI's API and fails when it is asked to."""
    if not AIMock.installed():
        pytest.skip("aimock is not installed: `make counterparties` installs it, and needs npm")
    server = AIMock.start(tmp_path_factory.mktemp("aimock"))
    yield server
    server.stop()


@pytest.fixture
def tag() -> str:
    """A word of this test's own, to find its requests by."""
    return new_id().hex


@pytest.fixture
async def ada(platform: TestPlatform, tenant: UUID, aimock: AIMock) -> Account:
    """Somebody whose marketplace has a language model."""
    await set_up(platform, tenant, aimock.base_url)
    return await platform.account(tenant)


@pytest.fixture(scope="session")
async def strict(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> AsyncIterator[TestPlatform]:
    """A platform with a small quota, two models and short answers."""
    settings = 'daily_tokens = 1200\nmax_tokens = 100\nmodels = ["smollm2", "other"]'
    async with running(tmp_path_factory.mktemp("strict"), postgres_url, redis_url, settings) as strict:
        yield strict


@pytest.fixture(scope="session")
async def impatient(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> AsyncIterator[TestPlatform]:
    """A platform that waits for no provider."""
    async with running(tmp_path_factory.mktemp("impatient"), postgres_url, redis_url, "timeout = 0.3") as impatient:
        yield impatient


@pytest.fixture(scope="session")
async def asking(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> AsyncIterator[TestPlatform]:
    """A platform that sends nothing without consent."""
    settings = 'consent_purpose = "language_models"'
    async with running(tmp_path_factory.mktemp("asking"), postgres_url, redis_url, settings) as asking:
        yield asking


@pytest.fixture
async def ungoverned(tmp_path: Path, postgres_url: str, redis_url: str) -> AsyncIterator[TestPlatform]:
    """A platform that wants consent and has nobody to ask for it."""
    settings = 'consent_purpose = "language_models"'
    async with running(tmp_path, postgres_url, redis_url, settings, plugins=("ai_providers",)) as ungoverned:
        yield ungoverned


@asynccontextmanager
async def running(
    folder: Path, postgres_url: str, redis_url: str, settings: str, *, plugins: tuple[str, ...] = BUILT_IN
) -> AsyncIterator[TestPlatform]:
    """A platform with `settings` of the plugin, on a database of its own."""
    tables = [f"[plugins.{name}]\nenabled = {str(name in plugins).lower()}\n" for name in BUILT_IN]
    tables = [f"{table}{settings}\n" if "plugins.ai_providers" in table else table for table in tables]
    (folder / "plugins.toml").write_text("\n".join(tables))
    database_url = await create_database(postgres_url, f"ai_providers_{new_id().hex}", template=TEMPLATE)
    platform = TestPlatform(make_config(folder, database_url, redis_url))
    await platform.start()
    yield platform
    await platform.stop()
