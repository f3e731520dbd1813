"""Companies: their domains, whose accounts are made, which roles they get, and no other way in."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kernel.sso.conftest import ADMIN, AUTH, PAGE, PROVIDERS, Site
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, Issuer
from tests.support.platform import PASSWORD, TestPlatform
from tests.support.servers import make_config

ADA = {"email": "ada@corp.example", "email_verified": True}


async def enter(site: Site, name: str = "corp", **claims: Any) -> httpx.Response:
    return await (await site.start(app=True, name=name)).sign_in(**claims)


async def roles(site: Site, answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    client = site.platform.client(authorization=f"Bearer {answer.json()['access_token']}")
    return (await client.get(f"{AUTH}/me")).json()["roles"]


async def link_administrator(site: Site) -> None:
    client = site.administrator.client
    trip = await site.start(client, app=True, path=f"{AUTH}/identities/corp/start")
    body = {"code": await trip.proven(sub="boss"), "code_verifier": trip.verifier}
    assert (await client.post(f"{AUTH}/identities", json=body)).status_code == 201


async def test_a_domain_leads_to_its_provider(site: Site) -> None:
    await site.provide("google", preset="google", issuer="")
    await site.provide(domains=["corp.example"], label="Corp")
    client = site.platform.anonymous(site.tenant)

    async def names(domain: str | None) -> list[str]:
        answer = await client.get(PROVIDERS, params={} if domain is None else {"domain": domain})
        return [item["name"] for item in answer.json()["items"]]

    assert await names("CORP.example") == ["corp"]
    assert await names("home.example") == ["google"]
    assert await names(None) == ["corp", "google"]


async def test_only_its_domains_come_in(site: Site) -> None:
    await site.provide(domains=["corp.example"])
    assert (await enter(site, **ADA)).status_code == 200
    answer = await enter(site, sub="eve", email="eve@gmail.example", email_verified=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "sso.email_not_proven")


async def test_nobodys_account_is_made(site: Site) -> None:
    await site.provide(provision="never")
    answer = await enter(site, **ADA)
    assert (answer.status_code, answer.json()["code"]) == (403, "sso.not_provisioned")


async def test_roles_follow_the_groups(site: Site) -> None:
    """With each log-in: who leaves a group loses its roles. Other roles stay."""
    made = await site.administrator.client.post(
        "/api/v1/admin/authorization/roles", json={"name": "buyer", "summary": "Buys for the company."}
    )
    assert made.status_code == 201, made.text
    await site.provide(roles=["buyer"], role_map={"admins": ["administrator"]})
    assert await roles(site, await enter(site, **ADA, groups=["staff", "admins"])) == [
        "administrator", "buyer", "member",
    ]  # fmt: skip
    assert await roles(site, await enter(site, **ADA, groups=["staff"])) == ["buyer", "member"]
    assert await roles(site, await enter(site, **ADA, groups="admins")) == ["administrator", "buyer", "member"]
    assert await roles(site, await enter(site, **ADA)) == ["buyer", "member"]


@pytest.mark.parametrize(
    ("settings", "said", "methods"),
    [
        ({}, {"amr": ["mfa", "otp"], "acr": "gold"}, ["fed"]),
        ({"trust_methods": True}, {"amr": ["mfa", "otp", "trusted_device"]}, ["fed", "mfa", "otp"]),
        ({"trusted_acr": ["gold"]}, {"amr": ["otp"], "acr": "gold"}, ["fed", "mfa"]),
        ({"trusted_acr": ["gold"]}, {"acr": "silver"}, ["fed"]),
    ],
)
async def test_what_the_provider_asked_for_counts_where_the_administrator_says_so(
    site: Site, settings: dict[str, Any], said: dict[str, Any], methods: list[str]
) -> None:
    await site.provide(**settings)
    answer = await enter(site, **ADA, **said)
    client = site.platform.client(authorization=f"Bearer {answer.json()['access_token']}")
    [session] = (await client.get(f"{AUTH}/sessions")).json()["items"]
    assert session["methods"] == methods


@pytest.mark.parametrize("wrong", [{"roles": ["operator"]}, {"role_map": {"admins": ["operator"]}}])
async def test_no_provider_makes_operators(site: Site, wrong: dict[str, Any]) -> None:
    answer = await site.provide(**wrong)
    assert answer.status_code in (400, 422), answer.text
    assert "operator" in answer.text


async def test_no_other_way_in_for_a_domain(site: Site) -> None:
    refused = await site.provide(domains=["corp.example"], require=True)
    assert (refused.status_code, refused.json()["code"]) == (409, "sso.sign_in_first")
    client = site.platform.anonymous(site.tenant)
    body = {"email": "grace@corp.example", "password": PASSWORD, "display_name": "Grace"}
    assert (await client.post(f"{AUTH}/register", json=body)).status_code == 201
    credentials = {"email": "grace@corp.example", "password": PASSWORD}
    assert (await client.post(f"{AUTH}/login", json=credentials)).status_code == 200
    await link_administrator(site)
    assert (await site.provide(domains=["corp.example"], require=True)).status_code == 200
    answer = await client.post(f"{AUTH}/login", json=credentials)
    assert (answer.status_code, answer.json()["code"]) == (403, "sso.required")
    wrong = await client.post(f"{AUTH}/login", json={**credentials, "password": "something else"})
    assert wrong.json()["code"] == "auth.bad_credentials", "who doesn't know the password learns nothing"
    answer = await client.post(f"{AUTH}/register", json={**body, "email": "alan@corp.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "sso.required")
    assert (await enter(site, **ADA)).status_code == 200
    await site.provide("other")
    answer = await enter(site, "other", sub="eve", email="eve@corp.example", email_verified=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "sso.required"), "by another provider neither"


async def test_an_operator_always_finds_a_way_in(site: Site) -> None:
    operator = await site.platform.account(site.tenant, ("operator",))
    await link_administrator(site)
    assert (await site.provide(domains=["example.com"], require=True)).status_code == 200
    client = site.platform.anonymous(site.tenant)
    answer = await client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
    assert answer.status_code in (200, 202), answer.text


async def test_the_secret_is_kept_in_the_vault_and_never_shown(site: Site) -> None:
    async with site.platform.runtime.database.system_reader() as connection:
        rows = await connection.fetch("SELECT * FROM kernel_sso_providers WHERE tenant_id = $1", site.tenant)
        kept = await connection.fetchval(
            "SELECT envelope FROM kernel_secrets WHERE tenant_id = $1 AND name = 'sso.corp'", site.tenant
        )
        trail = await connection.fetch("SELECT * FROM kernel_audit_entries WHERE tenant_id = $1", site.tenant)
    assert kept
    assert CLIENT_SECRET.encode() not in kept
    assert CLIENT_SECRET not in repr([dict(row) for row in (*rows, *trail)])
    listed = await site.administrator.client.get(ADMIN)
    assert CLIENT_SECRET not in listed.text
    [item] = listed.json()["items"]
    assert (item["has_secret"], item["configured"]) == (True, False)
    assert item["callback_url"] == f"http://platform.test{PROVIDERS}/corp/callback"
    again = await site.provide(client_secret=None, label="Corp")
    assert again.json()["has_secret"] is True, "left out, it stays"


@pytest.mark.parametrize(
    "other", [{"issuer": "https://evil.example"}, {"client_id": "another"}, {"preset": "google", "issuer": ""}]
)
async def test_a_secret_is_not_sent_to_another_provider(site: Site, other: dict[str, Any]) -> None:
    """Who may set providers up sees no secrets, and must not have one sent to a server of their own."""
    answer = await site.provide(client_secret=None, **other)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert (await site.provide(**other)).status_code == 200


async def test_a_provider_that_is_removed(site: Site) -> None:
    client = site.administrator.client
    assert (await client.delete(f"{ADMIN}/corp")).status_code == 204
    assert (await client.delete(f"{ADMIN}/corp")).status_code == 404
    assert (await site.platform.anonymous(site.tenant).get(PROVIDERS)).json() == {"items": []}
    async with site.platform.runtime.database.system_reader() as connection:
        left = await connection.fetchval("SELECT count(*) FROM kernel_secrets WHERE tenant_id = $1", site.tenant)
    assert left == 0


async def test_members_do_not_set_providers_up(site: Site) -> None:
    member = await site.platform.account(site.tenant)
    answer = await member.client.put(f"{ADMIN}/mine", json={"issuer": site.issuer.url, "client_id": "x"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ""},
        {"issuer": "http://id.example.com"},
        {"issuer": "https://user@id.example.com"},
        {"issuer": "https://id.example.com/?x"},
        {"return_to": ["http://shop.example.com/"]},
        {"return_to": ["javascript:alert(1)"]},
        {"return_to": ["https://shop.example.com/#x"]},
        {"domains": ["*"]},
        {"require": True},
        {"provision": "domains"},
        {"preset": "apple", "issuer": ""},
        {"scopes": ["open id"]},
        {"unknown": 1},
    ],
)
async def test_settings_that_are_wrong(site: Site, wrong: dict[str, Any]) -> None:
    answer = await site.provide(**wrong)
    assert answer.status_code in (400, 422), answer.text


@pytest.fixture
async def closed(tmp_path: Path, database_url: str, redis_url: str, issuer: Issuer) -> AsyncIterator[Site]:
    """Registration is closed, and providers are in `plugins.toml`, for all tenants."""
    (tmp_path / "plugins.toml").write_text(
        f"""
        [pegboard.sso.corp]
        issuer = "{issuer.url}"
        client_id = "{CLIENT_ID}"
        client_secret = "env:CORP_SECRET"
        return_to = ["{PAGE}"]
        tenants = "all"

        [pegboard.sso.home]
        issuer = "{issuer.url}"
        client_id = "{CLIENT_ID}"
        return_to = ["{PAGE}"]
        tenants = "all"
        domains = ["corp.example"]
        provision = "domains"
        """
    )
    config = make_config(
        tmp_path,
        database_url,
        redis_url,
        PEGBOARD_AUTH__REGISTRATION="closed",
        PEGBOARD_SSO__HOME__CLIENT_SECRET=CLIENT_SECRET,
        CORP_SECRET=CLIENT_SECRET,
    )
    running = TestPlatform(config)
    await running.start()
    tenant = await running.tenant()
    administrator = await running.account(tenant, ("administrator",))
    yield Site(platform=running, tenant=tenant, administrator=administrator, issuer=issuer)
    await running.stop()


async def test_where_registration_is_closed(closed: Site) -> None:
    answer = await enter(closed, **ADA)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.registration_closed")
    answer = await enter(closed, "home", **ADA)
    assert answer.status_code == 200, "but the administrator says that this domain's people have accounts"
    sent = next(headers for path, headers, _ in closed.issuer.requests if path == "/token")
    assert sent["authorization"].startswith("Basic ")
    refused = await closed.provide("corp")
    assert (refused.status_code, refused.json()["code"]) == (409, "sso.provider_configured")
