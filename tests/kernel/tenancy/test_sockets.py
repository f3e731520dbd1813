"""What only a real server can be told: a request's target with a host name of its own (RFC 9112, 3.2.2)."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.testing.servers import config_for_tests, write_config
from pegboard_sdk.ids import new_id

from tests.support.platform import PASSWORD, Account, TestPlatform
from tests.support.served import Served, serving
from tests.support.servers import TEMPLATE, create_database

LOG_IN = "/api/v1/auth/login"


class Site(msgspec.Struct, frozen=True):
    """A server, and people of two tenants, whose host names are a.example and b.example."""

    served: Served
    ada: Account
    bob: Account


@pytest.fixture
async def site(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    url = await create_database(postgres_url, f"sockets_{new_id().hex}", template=TEMPLATE)
    write_config(tmp_path / "plugins.toml", {}, {})
    platform = TestPlatform(config_for_tests(tmp_path / "plugins.toml", url, redis_url))
    await platform.start()
    tenants = [await platform.tenant(), await platform.tenant()]
    async with platform.runtime.database.system_transaction() as connection:
        for tenant, host in zip((*tenants, DEFAULT_TENANT), ("a.example", "b.example", "market.example"), strict=True):
            await connection.execute("INSERT INTO kernel_tenant_hosts VALUES ($1, $2, true)", host, tenant)
    people = [await platform.account(tenant) for tenant in tenants]
    await platform.stop()
    folder = Path(tempfile.mkdtemp(prefix="pegboard-sockets-"))
    servers = serving(folder, url, redis_url)
    served = next(servers)("--port", "0")
    yield Site(served, *people)
    next(servers, None)
    shutil.rmtree(folder)


async def log_in(site: Site, who: Account, target: str, *hosts: str) -> tuple[int, str]:
    """Status and code of what a server answers to a log-in that was written by hand."""
    body = msgspec.json.encode({"email": who.email, "password": PASSWORD})
    lines = [f"POST {target} HTTP/1.1", *(f"Host: {host}" for host in hosts), "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    parts = urlsplit(site.served.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write("\r\n".join(lines).encode() + body)
    head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), msgspec.json.decode(answer).get("code", "") if answer else ""


async def test_the_host_header_decides_not_the_target(site: Site) -> None:
    ada, bob = site.ada, site.bob
    for target in (
        LOG_IN,
        f"http://a.example{LOG_IN}",
        f"http://b.example{LOG_IN}",
        f"http://elsewhere.example{LOG_IN}",
    ):
        assert await log_in(site, ada, target, "a.example") == (200, ""), target
        assert await log_in(site, bob, target, "a.example") == (401, "auth.bad_credentials"), target
        assert await log_in(site, ada, target, "elsewhere.example") == (421, "tenant.host_unknown"), target
        assert (await log_in(site, ada, target, "a.example", "b.example"))[0] == 400, target
    # Where there is no Host header, the target says it.
    assert (await log_in(site, ada, LOG_IN))[0] == 400
    assert await log_in(site, ada, f"http://a.example{LOG_IN}") == (200, "")
    assert await log_in(site, ada, f"http://b.example{LOG_IN}") == (401, "auth.bad_credentials")
    assert await log_in(site, ada, f"http://elsewhere.example{LOG_IN}") == (421, "tenant.host_unknown")
