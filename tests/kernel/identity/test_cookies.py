"""Browsers keep their session in cookies that scripts can't read, and only our own pages can use it to write."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.support.platform import PASSWORD, Account, TestPlatform
from tests.support.servers import BUILT_IN, make_config

AUTH = "/api/v1/auth"
SITE = "http://platform.test"
FRONT = "https://app.market.example"


@pytest.fixture(scope="module")
async def secured(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str
) -> AsyncIterator[TestPlatform]:
    """A platform that people reach by https, with a front end on a host beside it."""
    folder: Path = tmp_path_factory.mktemp("secured")
    config = make_config(
        folder,
        database_url,
        redis_url,
        plugins=BUILT_IN,
        PEGBOARD_HTTP__PUBLIC_URL="https://api.market.example",
        PEGBOARD_HTTP__ALLOWED_ORIGINS=FRONT,
    )
    running = TestPlatform(config)
    await running.start()
    yield running
    await running.stop()


async def browser(platform: TestPlatform, account: Account, **headers: str) -> tuple[httpx.AsyncClient, httpx.Response]:
    """A browser in which the account logs in, and the answer to that."""
    client = platform.client(x_tenant=str(account.tenant_id), **headers)
    answer = await client.post(f"{AUTH}/login", json={"email": account.email, "password": PASSWORD, "cookies": True})
    if answer.status_code == 200:
        client.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return client, answer


def cookies(answer: httpx.Response) -> dict[str, SimpleCookie]:
    found: dict[str, SimpleCookie] = {}
    for header in answer.headers.get_list("set-cookie"):
        cookie = SimpleCookie(header)
        found[next(iter(cookie))] = cookie
    return found


async def end_others(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    """A write that any account may do."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.delete(f"{AUTH}/sessions", headers=sent)


async def test_the_tokens_are_in_cookies_and_nowhere_else(platform: TestPlatform, tenant: UUID) -> None:
    client, answer = await browser(platform, await platform.account(tenant))
    assert answer.json().keys() == {"csrf_token", "expires_in", "refresh_expires_in"}
    assert answer.headers["cache-control"] == "no-store"
    given = cookies(answer)
    assert given.keys() == {"pegboard_access", "pegboard_refresh", "pegboard_csrf"}
    for name, cookie in given.items():
        flags = cookie[name]
        assert bool(flags["httponly"]) == (name != "pegboard_csrf")
        assert (flags["samesite"], flags["path"], flags["domain"]) == ("strict", "/", "")
    assert given["pegboard_csrf"]["pegboard_csrf"].value == answer.json()["csrf_token"]
    assert (await client.get(f"{AUTH}/me")).status_code == 200
    assert (await end_others(client)).status_code == 204


async def test_over_https_nobody_else_can_set_them(secured: TestPlatform) -> None:
    account = await secured.account(await secured.tenant())
    client, answer = await browser(secured, account, origin=FRONT)
    given = cookies(answer)
    assert given.keys() == {"__Host-pegboard_access", "__Host-pegboard_refresh", "__Host-pegboard_csrf"}
    assert all(cookie[name]["secure"] for name, cookie in given.items())
    jar = "; ".join(f"{name}={cookie[name].value}" for name, cookie in given.items())
    read = await client.get(f"{AUTH}/me", headers={"cookie": jar})
    assert read.status_code == 200
    plain = jar.replace("__Host-", "")
    assert (await client.get(f"{AUTH}/me", headers={"cookie": plain})).status_code == 401


async def test_a_write_repeats_what_is_bound_to_the_session(platform: TestPlatform, tenant: UUID) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    client, _ = await browser(platform, ada)
    _, of_eve = await browser(platform, eve)
    right = client.headers.pop("x-csrf-token")
    for wrong in ({}, {"x_csrf_token": ""}, {"x_csrf_token": of_eve.json()["csrf_token"]}, {"x_csrf_token": "0" * 64}):
        refused = await end_others(client, **wrong)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.csrf_refused"), wrong
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 200, "nothing was done"
    assert (await end_others(client, x_csrf_token=right)).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"sec_fetch_site": "same-origin", "origin": SITE}, 204),
        ({"sec_fetch_site": "none"}, 204),
        ({"origin": SITE}, 204),
        ({"sec_fetch_site": "same-site", "origin": "http://evil.platform.test"}, 403),
        ({"sec_fetch_site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"{SITE}.evil.example"}, 403),
    ],
)
async def test_a_write_of_another_page_is_refused(
    platform: TestPlatform, tenant: UUID, headers: dict[str, str], status: int
) -> None:
    client, _ = await browser(platform, await platform.account(tenant))
    assert (await end_others(client, **headers)).status_code == status


async def test_the_listed_front_end_is_ours_too(secured: TestPlatform) -> None:
    account = await secured.account(await secured.tenant())
    _, answer = await browser(secured, account, origin=FRONT, sec_fetch_site="same-site")
    assert answer.status_code == 200
    for origin in ("https://evil.market.example", "http://app.market.example", "http://platform.test"):
        _, answer = await browser(secured, account, origin=origin, sec_fetch_site="same-site")
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.csrf_refused")


async def test_the_listed_front_end_may_send_cookies_and_read_the_answer(secured: TestPlatform) -> None:
    asked = {"access-control-request-method": "DELETE", "access-control-request-headers": "x-csrf-token"}
    preflight = await secured.client().options(f"{AUTH}/sessions", headers={"origin": FRONT, **asked})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == FRONT
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "x-csrf-token" in preflight.headers["access-control-allow-headers"].lower()
    read = await secured.client().get("/health/live", headers={"origin": FRONT})
    assert read.headers["access-control-allow-credentials"] == "true"
    other = await secured.client().options(f"{AUTH}/sessions", headers={"origin": "https://evil.example", **asked})
    assert (other.status_code, other.headers.get("access-control-allow-credentials")) == (403, None)


async def test_another_page_can_not_log_its_visitors_in(platform: TestPlatform, tenant: UUID) -> None:
    eve = await platform.account(tenant)
    _, answer = await browser(platform, eve, origin="https://evil.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.csrf_refused")
    assert "set-cookie" not in answer.headers


async def test_a_refresh_is_by_cookie_too(platform: TestPlatform, tenant: UUID) -> None:
    client, first = await browser(platform, await platform.account(tenant))
    second = await client.post(f"{AUTH}/refresh", json={})
    assert second.status_code == 200, second.text
    assert second.json()["csrf_token"] == first.json()["csrf_token"], "it is the session's"
    given = cookies(second)["pegboard_refresh"]["pegboard_refresh"].value
    assert given != cookies(first)["pegboard_refresh"]["pegboard_refresh"].value
    assert (await client.get(f"{AUTH}/me")).status_code == 200
    for wrong in ({"x-csrf-token": ""}, {"origin": "https://evil.example"}):
        refused = await client.post(f"{AUTH}/refresh", json={}, headers=wrong)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.csrf_refused")
    client.cookies.clear()
    without = await client.post(f"{AUTH}/refresh", json={})
    assert (without.status_code, without.json()["code"]) == (401, "auth.refresh_token_invalid")


async def test_logging_out_forgets_the_cookies(platform: TestPlatform, tenant: UUID) -> None:
    client, _ = await browser(platform, await platform.account(tenant))
    kept = dict(client.cookies)
    answer = await client.post(f"{AUTH}/logout")
    assert answer.status_code == 204
    assert dict(client.cookies) == {}
    client.cookies.update(kept)
    assert (await client.get(f"{AUTH}/me")).status_code == 401


async def test_a_step_up_by_cookie_answers_with_a_cookie(platform: TestPlatform, tenant: UUID) -> None:
    client, _ = await browser(platform, await platform.account(tenant))
    before = client.cookies["pegboard_access"]
    answer = await client.post(f"{AUTH}/step-up", json={"password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json().keys() == {"expires_in"}
    assert client.cookies["pegboard_access"] != before


async def test_a_bearer_token_needs_no_csrf_token_and_wins(platform: TestPlatform, tenant: UUID) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    client, _ = await browser(platform, ada)
    del client.headers["x-csrf-token"]
    bearer = {"authorization": f"Bearer {eve.token}", "origin": "https://evil.example"}
    assert (await client.get(f"{AUTH}/me", headers=bearer)).json()["id"] == str(eve.id)
    assert (await client.delete(f"{AUTH}/sessions", headers=bearer)).status_code == 204
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 200


async def test_old_cookies_do_not_keep_from_logging_in(platform: TestPlatform, tenant: UUID) -> None:
    client, _ = await browser(platform, await platform.account(tenant))
    del client.headers["x-csrf-token"]
    eve = await platform.account(tenant)
    answer = await client.post(f"{AUTH}/login", json={"email": eve.email, "password": PASSWORD, "cookies": True})
    assert answer.status_code == 200
    assert (await client.get(f"{AUTH}/me")).json()["id"] == str(eve.id)


async def test_cookies_may_come_in_several_headers(platform: TestPlatform, tenant: UUID) -> None:
    """As HTTP/2 allows (RFC 9113, 8.2.3)."""
    client, _ = await browser(platform, await platform.account(tenant))
    access = client.cookies["pegboard_access"]
    client.cookies.clear()
    for several in (
        [("cookie", f"pegboard_access={access}"), ("cookie", "theme=dark")],
        [("cookie", "theme=dark"), ("cookie", f"a=b; pegboard_access={access}")],
    ):
        assert (await client.get(f"{AUTH}/me", headers=several)).status_code == 200
    assert (await client.get(f"{AUTH}/me", headers=[("cookie", "pegboard_access")])).status_code == 401


async def test_scripts_of_any_origin_still_can_not_use_cookies(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """`allowed_origins = ["*"]` lets them call with tokens of their own, and no more."""
    running = TestPlatform(make_config(tmp_path, database_url, redis_url, PEGBOARD_HTTP__ALLOWED_ORIGINS="*"))  # type: ignore[arg-type]  # the rest are settings
    await running.start()
    try:
        account = await running.account(await running.tenant())
        _, answer = await browser(running, account, origin="https://anybody.example")
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.csrf_refused")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    finally:
        await running.stop()
