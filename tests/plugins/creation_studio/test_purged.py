"""What is left to say of orders once creation_studio is off, is purged, and is back."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pegboard.database.migrate import migrate
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.removal.uninstall import Uninstaller
from pegboard.plugins.wanted import with_plugins
from pegboard.taxonomies.seed import seed
from pegboard_sdk import Principal, new_id
from pegboard_sdk.services import Records

from tests.plugins.creation_studio.factories import fund, place, publish
from tests.support.platform import TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config

Start = Callable[..., AbstractAsyncContextManager[TestPlatform]]
WITH, WITHOUT = ("finance", "creation_studio"), ("finance",)


@pytest.fixture
async def start(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the platform on a database of the test's own, with the plugins that are named."""
    name = f"purged_{new_id().hex}"
    url = await create_database(postgres_url, name, template=TEMPLATE)

    @asynccontextmanager
    async def start(*plugins: str) -> AsyncIterator[TestPlatform]:
        (tmp_path / "plugins.toml").unlink(missing_ok=True)
        platform = TestPlatform(make_config(tmp_path, url, redis_url, plugins=plugins))
        await platform.start()
        yield platform
        await platform.stop()

    yield start
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


def as_before(platform: TestPlatform, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Somebody who is still logged in."""
    return platform.client(authorization=client.headers["authorization"])


async def subject(client: httpx.AsyncClient, escrow_id: str) -> tuple[str | None, str]:
    """What finance shows that the escrow is for."""
    answer = await client.get(f"/api/v1/finance/escrows/{escrow_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["subject"]["label"], answer.json()["subject"]["state"]


async def test_an_escrow_says_what_it_is_for_whatever_becomes_of_the_order(start: Start) -> None:
    async with start(*WITH) as platform:
        tenant = await platform.tenant()
        seller, buyer = await platform.account(tenant), await platform.account(tenant)
        order: dict[str, Any] = await place(buyer, await publish(seller, title="I will draw your logo"))
        await fund(buyer, order)
        client, escrow = buyer.client, order["escrow_id"]
        assert await subject(client, escrow) == ("I will draw your logo", "live")

    async with start(*WITHOUT) as platform:
        client = as_before(platform, client)
        assert await subject(client, escrow) == ("I will draw your logo", "unavailable")
        stranger = await platform.tenant()

        uninstaller = Uninstaller(
            platform.runtime, platform.config, "creation_studio", Principal(kind="system", tenant_id=DEFAULT_TENANT)
        )
        assert (await uninstaller.look()).references == 1
        receipt = (await uninstaller.purge()).receipt

        assert (receipt.tombstones, receipt.tables["creation_studio_orders"]) == (1, 1)
        assert await subject(client, escrow) == ("I will draw your logo", "tombstone")
        reference = f"creation_studio.order:{order['id']}"
        async with platform.work(platform.system(stranger)) as work:
            seen = await work.service(Records).describe(work, [reference])
        assert (seen[reference].label, seen[reference].state) == (None, "unavailable")

    # Its migrations run again, as they do when it is turned on.
    await migrate_again(platform)
    async with start(*WITH) as platform:
        client = as_before(platform, client)
        assert await subject(client, escrow) == ("I will draw your logo", "tombstone")
        seller = await platform.account(tenant)
        gig = await publish(seller, title="I will draw another logo")
        async with platform.work(platform.system(tenant)) as work:
            seen = await work.service(Records).describe(work, [f"creation_studio.gig:{gig['id']}"])
        assert [(one.label, one.state) for one in seen.values()] == [("I will draw another logo", "live")]


async def migrate_again(platform: TestPlatform) -> None:
    """As `pegboard up` does it."""
    registry = load_plugins(with_plugins(platform.config, WITH))
    await migrate(platform.config.database.url.reveal(), [one.app for one in registry.plugins if one.app is not None])
    await seed(platform.config, registry)


async def test_what_nobody_knows_is_said_to_be_so(platform: TestPlatform) -> None:
    tenant = await platform.tenant()
    buyer = await platform.account(tenant)
    gig = await publish(buyer)
    gone = new_id()
    references = [
        f"creation_studio.gig:{gig['id']}",
        f"creation_studio.gig:{gone}",
        "creation_studio.gig:not-an-id",
        f"creation_studio.thing:{gone}",
        f"nobody.thing:{gone}",
        "no reference",
    ]

    async with platform.work(buyer) as work:
        seen = await work.service(Records).describe(work, references)
        assert await work.service(Records).describe(work, []) == {}

    assert [seen[one].state for one in references] == [
        "live", "deleted", "deleted", "unavailable", "unavailable", "unavailable",
    ]  # fmt: skip
