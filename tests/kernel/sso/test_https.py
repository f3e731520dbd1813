"""Where people reach the platform by https, and a marketplace by a host name of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.kernel.sso.conftest import PAGE, PROVIDERS, Site
from tests.support.issuer import Issuer
from tests.support.platform import TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config

PUBLIC = "https://api.market.example"


@pytest.fixture
async def secured(tmp_path: Path, postgres_url: str, redis_url: str, issuer: Issuer) -> AsyncIterator[Site]:
    """A platform of its own, which may call nothing on its own machine but the provider."""
    config = make_config(
        tmp_path,
        await create_database(postgres_url, f"sso_{tmp_path.name}", template=TEMPLATE),
        redis_url,
        plugins=(),
        PEGBOARD_HTTP__PUBLIC_URL=PUBLIC,
        PEGBOARD_OUTBOUND__PRIVATE_HOSTS=f'{{"kernel": ["127.0.0.1:{httpx.URL(issuer.url).port}"]}}',
    )
    running = TestPlatform(config)
    await running.start()
    tenant = await running.tenant()
    administrator = await running.account(tenant, ("administrator",))
    site = Site(platform=running, tenant=tenant, administrator=administrator, issuer=issuer)
    assert (await site.provide()).status_code == 200
    yield site
    await running.stop()


async def start(site: Site, **headers: str) -> httpx.Response:
    client = site.platform.client(x_tenant=str(site.tenant), origin=PUBLIC, **headers)
    answer = await client.post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
    assert answer.status_code == 200, answer.text
    return answer


def asked(answer: httpx.Response, name: str) -> str:
    return httpx.URL(answer.json()["authorization_url"]).params[name]


async def test_the_cookie_is_ours_alone_and_comes_back_with_a_redirect(secured: Site) -> None:
    answer = await start(secured)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-pegboard_sso=")
    for flag in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert flag in cookie
    assert asked(answer, "redirect_uri") == f"{PUBLIC}{PROVIDERS}/corp/callback"


async def test_where_the_answer_is_a_form_the_cookie_comes_with_that_too(secured: Site) -> None:
    assert (await secured.provide(preset="apple", team_id="T", key_id="K")).status_code == 200
    assert "SameSite=none" in (await start(secured)).headers["set-cookie"]


async def test_an_issuer_within_the_platforms_own_network_is_not_called(secured: Site) -> None:
    """Who may set providers up can't have the platform look around behind its own doors."""
    with Issuer.running() as within:
        assert (await secured.provide(issuer=within.url)).status_code == 200
        client = secured.platform.client(x_tenant=str(secured.tenant), origin=PUBLIC)
        answer = await client.post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
        assert (answer.status_code, answer.json()["code"]) == (502, "outbound_refused")
        assert within.requests == []


async def test_a_marketplace_with_a_host_name_of_its_own_is_come_back_to_there(secured: Site) -> None:
    operator = await secured.platform.account(secured.tenant, ("operator",))
    path = f"/api/v1/admin/tenants/{secured.tenant}/hosts/shop.example"
    named = await operator.client.put(path, json={})
    assert named.status_code in (200, 201), named.text
    client = secured.platform.client(host="shop.example")
    answer = await client.post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
    assert answer.status_code == 200, answer.text
    assert asked(answer, "redirect_uri") == f"https://shop.example{PROVIDERS}/corp/callback"
