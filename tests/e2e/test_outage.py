"""PostgreSQL goes away and comes back: requests get problems meanwhile, and nobody has to restart anything."""

import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pegboard.database.migrate import migrate
from pegboard.database.roles import bootstrap
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.database.urls import master_key_bytes
from pegboard.embedded.postgres import EmbeddedPostgres
from pegboard.plugins.manager import load_plugins

from tests.support.platform import Account, TestPlatform
from tests.support.servers import make_config

GIGS = "/api/v1/creation_studio/gigs"
DRAFT = {"title": "Outage-proof logo", "price": {"amount": 100, "currency": "EUR"}, "delivery_days": 3}


class Outage:
    """A platform on a PostgreSQL of its own, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def start(self, redis_url: str) -> None:
        self.postgres = await EmbeddedPostgres.start(self.folder / "postgres", durable=False)
        config = make_config(self.folder, self.postgres.url, redis_url)
        await bootstrap(self.postgres.url, master_key_bytes(config))
        registry = load_plugins(config)
        await migrate(self.postgres.url, [plugin.app for plugin in registry.plugins if plugin.app is not None])
        self.platform = TestPlatform(config)
        await self.platform.start()

    async def stop(self) -> None:
        await self.platform.stop()
        await self.postgres.stop()

    async def begin(self) -> None:
        await self.postgres.stop()

    async def end(self) -> None:
        self.postgres = await EmbeddedPostgres.start(self.folder / "postgres", durable=False)


@pytest.fixture
async def outage(redis_url: str) -> AsyncIterator[Outage]:
    with tempfile.TemporaryDirectory(prefix="pegboard-outage-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240  # once; as root the server runs as another user, who must get in
        outage = Outage(folder)
        await outage.start(redis_url)
        yield outage
        await outage.stop()


async def document(outage: Outage) -> dict[str, dict[str, object]]:
    return (await outage.platform.client().get("/openapi.json")).json()["paths"]


def assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    for cause in ("asyncpg", "socket", "Traceback", "postgres"):
        assert cause not in response.text


async def answers(account: Account) -> None:
    """Wait until reads and writes work again."""
    deadline = time.monotonic() + 20
    while True:
        read = await account.client.get(GIGS)
        write = await account.client.post(GIGS, json=DRAFT)
        if (read.status_code, write.status_code) == (200, 201):
            return
        assert {read.status_code, write.status_code} <= {200, 201, 503}, (read.text, write.text)
        assert time.monotonic() < deadline, (read.text, write.text)


async def test_postgresql_away_is_503_and_back_is_back(outage: Outage):
    account = await outage.platform.account(DEFAULT_TENANT, ("member", "administrator", "operator"))
    reads = [path for path, item in (await document(outage)).items() if "get" in item and "{" not in path]
    assert len(reads) > 15
    anonymous = outage.platform.client()
    await answers(account)
    for _ in range(2):
        await outage.begin()
        assert_unavailable(await anonymous.get(GIGS))
        for path in reads:
            answer = await account.client.get(path, params={"q": "logo"})
            assert answer.status_code in (200, 400, 404, 503), (path, answer.text)
        assert_unavailable(await account.client.post(GIGS, json=DRAFT))
        assert_unavailable(await anonymous.post("/api/v1/auth/login", json={"email": "a@example.com", "password": "x"}))
        assert (await anonymous.get("/health/live")).status_code == 200
        ready = await anonymous.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["status"] == "unready"
        await outage.end()
        await answers(account)
        assert (await anonymous.get("/health/ready")).status_code == 200
    drafts = (await account.client.get(f"{GIGS}/mine", params={"limit": 100})).json()["items"]
    assert len(drafts) >= 3, "what was acknowledged before and between the outages is there"
