"""Whatever reaches the application and can't be served is answered with a problem that says what to do."""

from uuid import UUID

import httpx
import pytest

from tests.support.platform import TestPlatform

LOGIN = "/api/v1/auth/login"
GIGS = "/api/v1/creation_studio/gigs"
JSON = {"content-type": "application/json"}


def assert_problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["type"] == f"urn:pegboard:problem:{problem['code']}"
    if code is not None:
        assert problem["code"] == code
    return problem


@pytest.fixture
def anonymous(platform: TestPlatform, tenant: UUID) -> httpx.AsyncClient:
    return platform.anonymous(tenant)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"email": "a@example.com", ', "malformed_request"),
        (b'{"email": "\xff\xfe", "password": "x"}', "malformed_request"),
        (b"[" * 10_000 + b"]" * 10_000, "nesting_too_deep"),
        (b'{"a":' * 10_000, "nesting_too_deep"),
        (b'{"email": 7, "password": []}', "invalid_request"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b"", "body_missing"),
    ],
    ids=["cut off", "not UTF-8", "deep list", "deep object", "wrong types", "wrong shape", "null", "nothing"],
)
async def test_an_unreadable_body_is_a_400(anonymous: httpx.AsyncClient, body: bytes, code: str):
    assert_problem(await anonymous.post(LOGIN, content=body, headers=JSON), 400, code)


async def test_a_wrong_field_is_named(anonymous: httpx.AsyncClient):
    problem = assert_problem(await anonymous.post(LOGIN, json={"email": 7, "password": "x"}), 400)
    assert [error["pointer"] for error in problem["errors"]] == ["/email"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"title": None}, "/title"),
        ({"surprise": 1}, "/surprise"),
        ({"a/b~c.d": 1}, "/a~1b~0c.d"),
        ({"price": {"amount": 100}}, "/price/currency"),
        ({"price": {"amount": 100, "currency": "EUR", "a/b": 1}}, "/price/a~1b"),
        ({"tags": ["logo", 7]}, "/tags/1"),
    ],
)
async def test_a_missing_or_unknown_field_is_named(
    platform: TestPlatform, tenant: UUID, change: dict[str, object], pointer: str
):
    """By a JSON pointer (RFC 6901): `/` and `~` in a name are escaped."""
    member = await platform.account(tenant)
    gig = {"title": "A logo", "description": "…", "price": {"amount": 100, "currency": "EUR"}, "delivery_days": 3}
    body = {name: value for name, value in {**gig, **change}.items() if value is not None}
    problem = assert_problem(await member.client.post(GIGS, json=body), 400, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]  # type: ignore[attr-defined]


async def test_a_missing_parameter_is_named(anonymous: httpx.AsyncClient):
    problem = assert_problem(await anonymous.get(f"{GIGS}/search"), 400, "invalid_request")
    assert problem["errors"] == [{"pointer": "q", "detail": "is required"}]


async def test_a_body_over_the_limit_is_a_413(anonymous: httpx.AsyncClient):
    body = b'{"email": "' + b"a" * 10_000_000 + b'"}'
    assert_problem(await anonymous.post(LOGIN, content=body, headers=JSON), 413, "body_too_large")


async def test_an_unknown_path_is_a_404(anonymous: httpx.AsyncClient):
    assert_problem(await anonymous.get("/api/v1/nothing/here"), 404, "not_found")


async def test_a_wrong_method_is_a_405_that_names_the_right_ones(anonymous: httpx.AsyncClient):
    response = await anonymous.put(LOGIN)
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (LOGIN, "POST, OPTIONS"),
        (GIGS, "GET, HEAD, POST, OPTIONS"),
        (f"{GIGS}/00000000-0000-7000-8000-00000000dead", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_and_a_405_name_the_same_methods(anonymous: httpx.AsyncClient, path: str, allowed: str):
    options = await anonymous.options(path)
    assert (options.status_code, options.headers["allow"]) == (204, allowed)
    refused = await anonymous.put(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("cursor", ["x", "%%%", "bm90IGpzb24", "WzEsMl0", "W10"])
async def test_a_bad_cursor_is_a_400(anonymous: httpx.AsyncClient, cursor: str):
    assert_problem(await anonymous.get(GIGS, params={"cursor": cursor}), 400, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
async def test_a_bad_limit_is_a_400(anonymous: httpx.AsyncClient, limit: str):
    problem = assert_problem(await anonymous.get(GIGS, params={"limit": limit}), 400, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == ["limit"]  # type: ignore[index]


@pytest.mark.parametrize("path", ["not-a-uuid", "00000000-0000-7000-8000-00000000dead", "%00", "..%2f..%2fetc"])
async def test_a_bad_id_is_a_404(anonymous: httpx.AsyncClient, path: str):
    assert_problem(await anonymous.get(f"{GIGS}/{path}"), 404)


async def test_a_target_that_is_too_long_is_a_414(anonymous: httpx.AsyncClient):
    assert_problem(await anonymous.get(GIGS, params={"cursor": "a" * 9_000}), 414, "uri_too_long")


async def test_headers_that_are_too_large_are_a_431(anonymous: httpx.AsyncClient):
    assert_problem(await anonymous.get(GIGS, headers={"x-filler": "a" * 40_000}), 431, "headers_too_large")


@pytest.mark.parametrize("token", ["Bearer x", "Bearer a.b.c", "Basic YTpi", "Bearer ", "x"])
async def test_a_bad_token_is_a_401_on_a_protected_route(platform: TestPlatform, token: str):
    response = await platform.client(authorization=token).get("/api/v1/auth/me")
    assert_problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_bad_token_does_not_close_a_public_route(platform: TestPlatform):
    response = await platform.client(authorization="Bearer old").get("/health/live")
    assert response.status_code == 200


async def test_nul_in_a_text_is_refused(platform: TestPlatform, tenant: UUID):
    member = await platform.account(tenant)
    price = {"amount": 100, "currency": "EUR"}
    gig = {"title": "Nul\x00in the title", "description": "…", "price": price, "delivery_days": 3}
    response = await member.client.post(GIGS, json=gig)
    assert 400 <= response.status_code < 500
    assert_problem(response, response.status_code)


async def test_another_tenant_than_the_token_s_is_a_403(platform: TestPlatform, tenant: UUID):
    member = await platform.account(tenant)
    other = await platform.tenant()
    assert_problem(await member.client.get("/api/v1/auth/me", headers={"x-tenant": str(other)}), 403)
    assert (await member.client.get("/api/v1/auth/me", headers={"x-tenant": str(tenant)})).status_code == 200


async def test_a_stranger_s_tenant_header_does_not_count(platform: TestPlatform, tenant: UUID):
    """Only a trusted proxy may name the tenant of somebody who is not logged in."""
    stranger = platform.client(address="203.0.113.9", x_tenant="not-a-uuid")
    assert (await stranger.get(GIGS)).status_code == 200
    assert_problem(await platform.client(x_tenant="not-a-uuid").get(GIGS), 400, "bad_tenant")
