"""Each way of confusing a platform about whose request it is. The token decides; whatever names another is refused."""

from typing import Any

import httpx
import pytest
from pegboard.work import ReadWork
from pegboard_sdk.ids import new_id

from tests.kernel.tenancy.conftest import Town
from tests.kernel.tenancy.factories import ORGANISATIONS, TENANTS, code, make_organisation
from tests.support.platform import PASSWORD, Account

ME = "/api/v1/auth/me"
LOG_IN = "/api/v1/auth/login"
PROXY = "127.0.0.1"


async def log_in(client: httpx.AsyncClient, account: Account, **fields: Any) -> httpx.Response:
    return await client.post(LOG_IN, json={"email": account.email, "password": PASSWORD} | fields)


async def test_a_host_name_leads_to_its_tenant(town: Town) -> None:
    ada = await town.platform.account(town.a)

    assert (await log_in(town.at(town.host_a), ada)).status_code == 200
    assert code(await log_in(town.at(town.host_b), ada)) == "auth.bad_credentials"
    assert code(await log_in(town.at(town.own_host), ada)) == "auth.bad_credentials"


@pytest.mark.parametrize("form", ["{}:8443", "{}.", "{}.:443", "UPPER"])
async def test_port_case_and_last_dot_don_t_matter(town: Town, form: str) -> None:
    ada = await town.platform.account(town.a)
    host = town.host_a.upper() if form == "UPPER" else form.format(town.host_a)

    assert (await log_in(town.at(host), ada)).status_code == 200


async def test_an_international_name_is_one_name(town: Town) -> None:
    answer = await town.operator.client.put(f"{TENANTS}/{town.a}/hosts/bücher.example", json={})
    assert "xn--bcher-kva.example" in [one["host"] for one in answer.json()["hosts"]]
    ada = await town.platform.account(town.a)

    assert (await log_in(town.at("XN--BCHER-KVA.example"), ada)).status_code == 200
    taken = await town.operator.client.put(f"{TENANTS}/{town.b}/hosts/BÜCHER.example", json={})
    assert code(taken) == "tenant.host_taken"


async def test_a_token_counts_at_its_own_host_only(town: Town) -> None:
    ada = await town.platform.account(town.a)
    token = {"authorization": f"Bearer {ada.token}"}

    assert (await town.at(town.host_a, **token).get(ME)).status_code == 200
    for _ in range(2):  # the second time the token is a known one
        for host in (town.host_b, town.own_host):
            assert code(await town.at(host, **token).get(ME)) == "tenant.other"
    assert code(await town.at(town.host_b, **token).post(ORGANISATIONS, json={})) == "tenant.other"
    assert code(await log_in(town.at(town.host_b, **token), ada)) == "tenant.other"


async def test_an_unknown_host_is_nobodys(town: Town) -> None:
    ada = await town.platform.account(town.a)
    for host in ("elsewhere.example", "10.0.0.1", "[::1]:8000", f"x{town.host_a}", f"{town.host_a}.evil.example"):
        answer = await log_in(town.at(host), ada)
        assert (answer.status_code, code(answer)) == (421, "tenant.host_unknown"), host
        answer = await town.at(host, authorization=f"Bearer {ada.token}").get(ME)
        assert (answer.status_code, code(answer)) == (421, "tenant.host_unknown"), host


async def test_the_platforms_own_pages_answer_under_any_name(town: Town) -> None:
    for path in ("/health/live", "/health/ready", "/openapi.json", "/.well-known/jwks.json"):
        assert (await town.at("10.0.0.1").get(path)).status_code == 200, path


async def test_a_header_of_a_trusted_proxy_names_the_tenant(town: Town) -> None:
    ada = await town.platform.account(town.a)
    proxied = {"address": PROXY, "x_tenant": str(town.a)}

    assert (await log_in(town.at(town.host_a, **proxied), ada)).status_code == 200
    assert (await log_in(town.at("internal.example", **proxied), ada)).status_code == 200
    assert code(await log_in(town.at(town.host_b, **proxied), ada)) == "tenant.other"


async def test_a_header_of_somebody_else_names_nothing(town: Town) -> None:
    ada = await town.platform.account(town.a)

    answer = await log_in(town.at(town.host_b, x_tenant=str(town.a)), ada)
    assert code(answer) == "auth.bad_credentials"
    assert code(await log_in(town.at("internal.example", x_tenant=str(town.a)), ada)) == "tenant.host_unknown"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("", "bad_tenant"),
        ("*", "bad_tenant"),
        ("default", "bad_tenant"),
        ("' OR true --", "bad_tenant"),
        ("00000000-0000-7000-8000-00000000000", "bad_tenant"),
        ("01a20dd5-0000-7000-8000-000000000000", "tenant.not_found"),
    ],
)
async def test_a_header_that_names_nobody_is_refused(town: Town, named: str, expected: str) -> None:
    ada = await town.platform.account(town.a)
    for host in (town.host_a, "internal.example"):
        assert code(await log_in(town.at(host, address=PROXY, x_tenant=named), ada)) == expected


async def test_a_header_beside_a_token_must_agree_whoever_sends_it(town: Town) -> None:
    ada = await town.platform.account(town.a)
    token = {"authorization": f"Bearer {ada.token}"}
    for address in (PROXY, "192.0.2.1"):
        for other in (str(town.b), str(new_id()), "", "x"):
            answer = await town.at(town.host_a, address=address, x_tenant=other, **token).get(ME)
            assert code(answer) == "tenant.other", (address, other)
        assert (await town.at(town.host_a, address=address, x_tenant=str(town.a), **token).get(ME)).status_code == 200


async def test_what_is_said_twice_is_refused(town: Town) -> None:
    ada = await town.platform.account(town.a)
    transport = httpx.ASGITransport(app=town.platform.app, client=(PROXY, 1))  # type: ignore[arg-type]
    body = {"email": ada.email, "password": PASSWORD}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{town.host_a}") as client:
        for headers, expected in (
            ([("host", town.host_a), ("host", town.host_b)], "bad_host"),
            ([("host", town.host_b), ("host", town.host_a)], "bad_host"),
            ([("host", town.host_a), ("x-tenant", str(town.a)), ("x-tenant", str(town.b))], "bad_tenant"),
            ([("host", town.host_a), ("x-tenant", f"{town.a}, {town.b}")], "bad_tenant"),
        ):
            assert code(await client.post(LOG_IN, json=body, headers=headers)) == expected
        twice = [("authorization", f"Bearer {ada.token}"), ("x-tenant", str(town.b)), ("x-tenant", str(town.a))]
        assert code(await client.get(ME, headers=twice)) == "bad_tenant"


async def test_what_a_proxy_forwards_of_the_host_is_not_read(town: Town) -> None:
    ada = await town.platform.account(town.a)
    for address in (PROXY, "192.0.2.1"):
        spoofed = {
            "x_forwarded_host": town.host_a,
            "forwarded": f"host={town.host_a}",
            "x_host": town.host_a,
            "x_original_host": town.host_a,
        }
        assert code(await log_in(town.at(town.host_b, address=address, **spoofed), ada)) == "auth.bad_credentials"


async def test_cookies_of_another_host_count_for_nothing(town: Town) -> None:
    ada, bob = await town.platform.account(town.a), await town.platform.account(town.b)
    answer = await log_in(town.at(town.host_a), ada, cookies=True)
    cookies = "; ".join(one.split(";")[0] for one in answer.headers.get_list("set-cookie"))

    assert (await town.at(town.host_a, cookie=cookies).get(ME)).status_code == 200
    assert code(await town.at(town.host_b, cookie=cookies).get(ME)) == "tenant.other"
    # But whoever carries them can log in there.
    assert (await log_in(town.at(town.host_b, cookie=cookies), bob)).status_code == 200
    csrf = {"x_csrf_token": answer.json()["csrf_token"]}
    refreshed = await town.at(town.host_b, cookie=cookies, **csrf).post("/api/v1/auth/refresh", json={})
    assert refreshed.status_code in (401, 403), refreshed.text


async def test_a_refresh_token_counts_at_its_own_host_only(town: Town) -> None:
    ada = await town.platform.account(town.a)
    pair = (await log_in(town.at(town.host_a), ada)).json()

    body = {"refresh_token": pair["refresh_token"]}
    assert code(await town.at(town.host_b).post("/api/v1/auth/refresh", json=body)) == "auth.refresh_token_invalid"
    assert (await town.at(town.host_a).post("/api/v1/auth/refresh", json=body)).status_code == 200


async def test_an_idempotency_key_is_one_tenants(town: Town) -> None:
    ada, bob = await town.platform.account(town.a), await town.platform.account(town.b)
    key = {"idempotency_key": new_id().hex}
    made = []
    for account, host in ((ada, town.host_a), (bob, town.host_b), (ada, town.host_a)):
        client = town.at(host, authorization=f"Bearer {account.token}", **key)
        answer = await client.post(ORGANISATIONS, json={"type": "agency", "name": "Acme"})
        assert answer.status_code == 201, answer.text
        made.append(answer)
    assert made[0].json() == made[2].json()
    assert made[2].headers.get("idempotent-replayed") == "true"
    assert made[1].json()["id"] != made[0].json()["id"]
    assert "idempotent-replayed" not in made[1].headers


async def test_a_cursor_of_another_tenant_shows_nothing_of_it(town: Town) -> None:
    ada, bob = await town.platform.account(town.a), await town.platform.account(town.b)
    for client in (ada, bob):
        client.client.headers["host"] = town.host_a if client is ada else town.host_b
    theirs = [(await make_organisation(ada))["id"] for _ in range(3)]
    own = (await make_organisation(bob))["id"]
    cursor = (await ada.client.get(ORGANISATIONS, params={"limit": 1})).json()["next_cursor"]

    items = (await bob.client.get(ORGANISATIONS, params={"cursor": cursor})).json()["items"]

    assert not {one["id"] for one in items} & set(theirs)
    assert {one["id"] for one in items} <= {own}


async def test_an_etag_of_another_tenant_edits_nothing_of_it(town: Town) -> None:
    ada, bob = await town.platform.account(town.a), await town.platform.account(town.b)
    ada.client.headers["host"], bob.client.headers["host"] = town.host_a, town.host_b
    path = f"{ORGANISATIONS}/{(await make_organisation(ada))['id']}"
    etag = (await ada.client.get(path)).headers["ETag"]

    answer = await bob.client.patch(path, json={"name": "Mine"}, headers={"If-Match": etag})

    assert code(answer) == "organisation.not_found"
    assert (await ada.client.get(path)).json()["name"] == "Acme"


async def test_what_is_remembered_of_a_token_is_one_tenants(town: Town) -> None:
    """Two tenants' tokens in turns over the same connections: what each reads is its own tenant's."""
    people = [(await town.platform.account(tenant, ("member", "administrator")), tenant) for tenant in (town.a, town.b)]
    authenticator, registry = town.platform.runtime.authenticator, town.platform.registry
    for _ in range(20):
        for account, tenant in people:
            principal = authenticator.cached(account.token, registry)
            assert principal is not None
            assert principal.tenant_id == tenant
            work = ReadWork(town.platform.runtime, registry, principal, new_id().hex)
            rows = await work.fetch("SELECT DISTINCT tenant_id FROM kernel_accounts")
            await work.release()
            assert [row["tenant_id"] for row in rows] == [tenant]
