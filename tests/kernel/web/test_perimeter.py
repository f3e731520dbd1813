"""What a server lets in and how it answers, over real sockets: hosts, origins, sizes, encodings, slowness."""

import asyncio
import gzip
import itertools
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.kernel.web.raw import Reply, exchange
from tests.support.processes import until
from tests.support.served import Served, serving

SHOP = "https://shop.example"
HOST = b"Host: api.example\r\n"
LOG_IN = b"/api/v1/auth/login"
CREDENTIALS = msgspec.json.encode({"email": "nobody@example.com", "password": "not the password"})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Iterator[Served]:
    """A server behind a proxy with TLS, with one allowed origin, that is soon tired of who is slow."""
    folder: Path = tmp_path_factory.mktemp("perimeter")
    settings = {
        "PEGBOARD_HTTP__PUBLIC_URL": "https://api.example",
        "PEGBOARD_HTTP__ALLOWED_ORIGINS": SHOP,
        "PEGBOARD_HTTP__TRUSTED_PROXIES": "127.0.0.1",
        "PEGBOARD_HTTP__HEADER_TIMEOUT": "1.5",
        "PEGBOARD_HTTP__BODY_TIMEOUT": "1.5",
        "PEGBOARD_HTTP__RATE_GUESSABLE": "10000",
        "PEGBOARD_HTTP__RATE_PER_IP": "4000",
    }
    servers = serving(folder, database_url, redis_url, **settings)
    start = next(servers)
    yield start("--port", "0")
    next(servers, None)
    shutil.rmtree(folder)


def get(path: bytes = b"/health/live", *lines: bytes, host: bytes = HOST) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(path: bytes, body: bytes, *lines: bytes) -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


async def ask(served: Served, *pieces: bytes, pause: float = 0, wait_for_end: bool = False) -> Reply:
    return await exchange(served.url, *pieces, pause=pause, wait_for_end=wait_for_end)


class TestHosts:
    @pytest.mark.parametrize("host", [b"api.example", b"API.example:443", b"api.example.", b"localhost", b"[::1]:80"])
    async def test_of_the_public_address_and_of_this_machine_are_served(self, served: Served, host: bytes):
        assert (await ask(served, get(host=b"Host: " + host + b"\r\n"))).status == 200

    @pytest.mark.parametrize(
        "host",
        [b"evil.example", b"api.example.evil.example", b"evil.example:80@api.example", b"", b"[::1", b"10.0.0.9"],
    )
    async def test_others_are_not(self, served: Served, host: bytes):
        reply = await ask(served, get(b"/openapi.json", host=b"Host: " + host + b"\r\n"))
        assert (reply.status, reply.code) == (421, "misdirected_request")

    async def test_a_load_balancer_asks_for_health_by_address(self, served: Served):
        assert (await ask(served, get(b"/health/ready", host=b"Host: 10.0.0.9:8000\r\n"))).status == 200
        assert (await ask(served, get(b"/docs", host=b"Host: 10.0.0.9:8000\r\n"))).status == 421

    async def test_two_of_them_are_refused(self, served: Served):
        reply = await ask(served, get(b"/", b"Host: evil.example"))
        assert (reply.status, reply.code) == (400, "bad_host")

    async def test_headers_that_say_one_thing_come_once(self, served: Served):
        reply = await ask(served, get(b"/docs", b"Authorization: Bearer a", b"Authorization: Bearer b"))
        assert (reply.status, reply.code) == (400, "header_repeated")
        assert (await ask(served, get(b"/docs", b"Accept: text/html", b"Accept: text/plain"))).status == 200

    async def test_the_request_line_s_host_is_not_a_way_around(self, served: Served):
        reply = await ask(served, get(b"http://api.example/docs", host=b"Host: evil.example\r\n"))
        assert reply.status == 421


class TestOrigins:
    async def preflight(self, served: Served, origin: bytes) -> Reply:
        lines = (b"Origin: " + origin, b"Access-Control-Request-Method: PATCH")
        request = get(LOG_IN, *lines).replace(b"GET", b"OPTIONS", 1)
        return await ask(served, request)

    async def test_a_listed_one_may_send_a_session_s_cookies(self, served: Served):
        reply = await self.preflight(served, SHOP.encode())
        assert reply.status == 204
        assert reply.header("access-control-allow-origin") == SHOP
        assert reply.header("access-control-allow-credentials") == "true"
        assert {"PATCH", "DELETE"} <= set(reply.header("access-control-allow-methods").split(", "))
        allowed = reply.header("access-control-allow-headers").lower().split(", ")
        assert {"authorization", "idempotency-key", "if-match", "x-csrf-token"} <= set(allowed)
        assert {"Origin", "Access-Control-Request-Method"} <= set(reply.header("vary").split(", "))
        answer = await ask(served, get(b"/health/live", b"Origin: " + SHOP.encode()))
        assert answer.header("access-control-allow-origin") == SHOP
        assert answer.header("access-control-allow-credentials") == "true"
        assert "Retry-After" in answer.header("access-control-expose-headers")

    @pytest.mark.parametrize(
        "origin",
        [
            b"null", b"https://shop.example.evil.example", b"http://shop.example", b"https://shop.example:444",
            b"https://a.shop.example", b"https://shop.example/", b"*", b"https://evil.example#https://shop.example",
        ],
    )  # fmt: skip
    async def test_another_one_gets_nothing(self, served: Served, origin: bytes):
        for reply in (
            await self.preflight(served, origin), await ask(served, get(b"/health/live", b"Origin: " + origin))
        ):  # fmt: skip
            assert not any(name.startswith("access-control-") for name, _ in reply.headers)
            assert "Origin" in reply.header("vary")
        assert (await self.preflight(served, origin)).status == 403

    async def test_caches_are_told_that_answers_differ(self, served: Served):
        assert "Origin" in (await ask(served, get())).header("vary")

    async def test_problems_can_be_read_too(self, served: Served):
        reply = await ask(served, get(b"/api/v1/nothing", b"Origin: " + SHOP.encode()))
        assert (reply.status, reply.header("access-control-allow-origin")) == (404, SHOP)


class TestHeaders:
    @pytest.mark.parametrize("path", [b"/health/live", b"/nothing", b"/", b"/docs", b"/openapi.json"])
    async def test_every_answer_has_them_once(self, served: Served, path: bytes):
        reply = await ask(served, get(path))
        names = [name for name, _ in reply.headers]
        for name, value in (
            ("strict-transport-security", "max-age=63072000"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "geolocation=()"),
            ("content-security-policy", "default-src 'none'"),
        ):
            assert value in reply.header(name)
            assert names.count(name) == 1

    async def test_what_the_documentation_loads_its_policy_lets_in(self, served: Served):
        page = await ask(served, get(b"/docs"))
        assert b"<script>" not in page.body
        assert b" style=" not in page.body
        policy = page.header("content-security-policy")
        for part in ("script-src 'self'", "connect-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
            assert part in policy
        assert "script-src 'self' 'unsafe-inline'" not in policy
        for asset in (b"swagger-ui.css", b"swagger-ui-bundle.js", b"start.js"):
            assert asset in page.body
            assert (await ask(served, get(b"/docs/assets/" + asset))).status == 200


class TestSizes:
    async def test_a_body_that_says_too_much_is_not_read(self, served: Served):
        reply = await ask(served, post(LOG_IN, b"{", b"Content-Length: 1048577"))
        assert (reply.status, reply.code) == (413, "body_too_large")

    async def test_a_body_in_chunks_is_counted(self, served: Served):
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        reply = await ask(served, post(LOG_IN, b"", b"Transfer-Encoding: chunked"), *[chunk] * 17, b"0\r\n\r\n")
        assert (reply.status, reply.code) == (413, "body_too_large")

    async def test_what_comes_after_the_announced_length_is_another_request(self, served: Served):
        """Never a part of this one: the body is what its length says."""
        body = CREDENTIALS + b'{"email": "x"}'
        reply = await ask(served, post(LOG_IN, body, b"Content-Length: %d" % len(CREDENTIALS)))
        assert (reply.status, reply.code) == (401, "auth.bad_credentials")

    @pytest.mark.parametrize(
        "lines",
        [
            (b"Content-Length: 5", b"Content-Length: 6"),
            (b"Content-Length: +5",),
            (b"Content-Length: -1",),
            (b"Content-Length: 5, 6",),
        ],
    )
    async def test_lengths_that_contradict_each_other_are_refused(self, served: Served, lines: tuple[bytes, ...]):
        assert (await ask(served, post(LOG_IN, b"abcdef", *lines))).status == 400

    async def test_chunks_win_over_a_length_and_the_connection_ends(self, served: Served):
        """RFC 9112, 6.3: nothing can be smuggled in behind it."""
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CREDENTIALS), CREDENTIALS)
        smuggled = get(b"/docs")
        request = post(LOG_IN, body + smuggled, b"Content-Length: 3", b"Transfer-Encoding: chunked")
        reply = await ask(served, request, wait_for_end=True)
        assert (reply.status, reply.closed) == (401, True)

    async def test_an_unknown_transfer_coding_is_refused(self, served: Served):
        reply = await ask(served, post(LOG_IN, b"0\r\n\r\n", b"Transfer-Encoding: gzip, chunked"))
        assert (reply.status, reply.code) == (501, "transfer_coding_unknown")

    async def test_heads_have_limits(self, served: Served):
        long_path = await ask(served, get(b"/" + b"a" * 8_200))
        assert (long_path.status, long_path.code) == (414, "uri_too_long")
        long_query = await ask(served, get(b"/?q=" + b"a" * 8_200))
        assert (long_query.status, long_query.code) == (414, "uri_too_long")
        large = await ask(served, get(b"/", *[b"X-%d: " % number + b"a" * 900 for number in range(40)]))
        assert (large.status, large.code) == (431, "headers_too_large")
        many = await ask(served, get(b"/", *[b"X-%d: 1" % number for number in range(101)]))
        assert many.status == 431
        huge = await ask(served, get(b"/", b"X: " + b"a" * 1_000_000))
        assert huge.status in (0, 431)


class TestEncodings:
    @pytest.mark.parametrize(
        "coding", [b"gzip", b"deflate", b"br", b"zstd", b"x-gzip", b"compress", b"GZIP", b"gzip, gzip"]
    )
    async def test_a_compressed_body_is_refused_and_not_inflated(self, served: Served, coding: bytes):
        bomb = gzip.compress(b"0" * 10_000_000) if b"gzip" in coding.lower() else zlib.compress(b"0" * 10_000_000)
        reply = await ask(served, post(LOG_IN, bomb, sized(bomb), b"Content-Encoding: " + coding))
        assert (reply.status, reply.code) == (415, "compressed_body")
        assert reply.header("accept-encoding") == "identity"

    async def test_webhooks_too(self, served: Served):
        bomb = gzip.compress(b"0" * 1_000_000)
        path = b"/api/v1/integrations/webhooks/github"
        reply = await ask(served, post(path, bomb, sized(bomb), b"Content-Encoding: gzip"))
        assert (reply.status, reply.code) == (415, "compressed_body")

    async def test_a_body_as_it_is_may_say_so(self, served: Served):
        reply = await ask(served, post(LOG_IN, CREDENTIALS, sized(CREDENTIALS), b"Content-Encoding: identity"))
        assert reply.code == "auth.bad_credentials"


class TestSlowness:
    async def test_a_head_that_does_not_end_is_not_waited_for(self, served: Served):
        began = time.monotonic()
        line = b"X-Slow: 1\r\n"
        reply = await ask(served, b"GET / HTTP/1.1\r\n" + HOST, *[line] * 100, pause=0.1)
        assert (reply.status, reply.closed) == (0, True)
        assert time.monotonic() - began < 8

    async def test_nor_a_connection_that_says_nothing(self, served: Served):
        reply = await ask(served, b"")
        assert (reply.status, reply.closed) == (0, True)

    async def test_a_body_that_drips_is_not_waited_for(self, served: Served):
        began = time.monotonic()
        request = post(LOG_IN, b"", b"Content-Length: 1000")
        reply = await ask(served, request, *[b" "] * 150, pause=0.1, wait_for_end=True)
        assert (reply.status, reply.code) == (408, "body_too_slow")
        assert reply.header("connection") == "close"
        assert reply.closed
        assert time.monotonic() - began < 10

    async def test_a_body_that_does_not_come_is_not_waited_for(self, served: Served):
        reply = await ask(served, post(LOG_IN, b"", b"Content-Length: 1000"))
        assert (reply.status, reply.code) == (408, "body_too_slow")

    async def test_a_large_body_that_keeps_coming_is(self, served: Served):
        """Longer than `http.body_timeout`, and never slower than what is taken for slow."""
        body = CREDENTIALS + b" " * (15 * 32_768)
        pieces = [body[start : start + 32_768] for start in range(0, len(body), 32_768)]
        reply = await ask(served, post(LOG_IN, b"", sized(body)), *pieces, pause=0.15)
        assert reply.code == "auth.bad_credentials"


class TestCallers:
    async def test_only_what_a_trusted_proxy_says_counts(self, served: Served):
        for forwarded, seen in ((b"198.51.100.7", "198.51.100.7"), (b"127.0.0.1, 198.51.100.8", "198.51.100.8")):
            reply = await ask(served, get(b"/openapi.json", b"X-Forwarded-For: " + forwarded))
            assert await asyncio.to_thread(logged_address, served, reply.header("x-request-id")) == seen


def logged_address(served: Served, request_id: str) -> object:
    def lines() -> list[dict[str, object]]:
        return [line for line in served.lines() if line.get("request_id") == request_id]

    until(lambda: bool(lines()))  # the log is written a little later
    return lines()[0]["ip"]


async def get_as(client: httpx.AsyncClient, address: str) -> httpx.Response:
    return await client.get("/health/live", headers={"x-forwarded-for": address})


async def test_who_asks_too_often_is_told_the_policy(served: Served):
    """And who is close to it, what is left."""
    async with httpx.AsyncClient(base_url=served.url) as client:
        told: set[str] = set()
        callers = itertools.count()
        while (answer := await get_as(client, f"2001:db8:5::{next(callers):x}")).status_code == 200:
            told.add(answer.headers.get("ratelimit-policy", ""))  # one network is one caller
        assert told == {"", '"ip";q=4000;w=60'}
        assert answer.headers["ratelimit-policy"] == '"ip";q=4000;w=60'
        assert answer.headers["ratelimit"].startswith('"ip";r=0;t=')
        assert int(answer.headers["retry-after"]) >= 1
        assert (await get_as(client, "2001:db8:6::1")).status_code == 200
