"""A platform of its own: once it has host names of tenants, requests to unknown ones are refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.testing.servers import config_for_tests, write_config
from pegboard_sdk.ids import new_id

from tests.kernel.tenancy.factories import TENANTS
from tests.support.mailbox import Mailbox
from tests.support.platform import Account, TestPlatform
from tests.support.servers import TEMPLATE, create_database


class Town(msgspec.Struct, frozen=True, kw_only=True):
    """Two tenants with a host name each beside the default one, whose name is the platform's `http.public_url`."""

    platform: TestPlatform
    operator: Account
    a: UUID
    b: UUID
    host_a: str
    host_b: str
    own_host: str

    def at(self, host: str, *, address: str = "192.0.2.1", **headers: str) -> httpx.AsyncClient:
        """A client that asks for `host`; by default from an address that nobody trusts."""
        return self.platform.client(address=address, host=host, **headers)


@pytest.fixture(scope="session")
async def town(
    postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Town]:
    """Two tenants, reached by their names."""
    url = await create_database(postgres_url, f"tenancy_{new_id().hex}", template=TEMPLATE)
    path: Path = tmp_path_factory.mktemp("tenancy") / "plugins.toml"
    write_config(path, {"creation_studio": True}, {})
    config = config_for_tests(
        path, url, redis_url, PEGBOARD_HTTP__PUBLIC_URL="http://market.example", **mailbox.environ
    )
    platform = TestPlatform(config)
    await platform.start()
    operator = await platform.account(DEFAULT_TENANT, ("member", "operator"))
    operator.client.headers["host"] = "market.example"
    names = f"a-{new_id().hex[-8:]}.example", f"b-{new_id().hex[-8:]}.example"
    tenants = [await platform.tenant(), await platform.tenant()]
    for tenant, host in zip(tenants, names, strict=True):
        answer = await operator.client.put(f"{TENANTS}/{tenant}/hosts/{host}", json={})
        assert answer.status_code == 200, answer.text
    yield Town(
        platform=platform,
        operator=operator,
        a=tenants[0],
        b=tenants[1],
        host_a=names[0],
        host_b=names[1],
        own_host="market.example",
    )
    await platform.stop()
