"""Wrong guesses: one network that makes many waits, and a flood from many networks raises an alarm."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import redis.asyncio
from pegboard.config.model import HttpConfig
from pegboard.telemetry.metrics import Metrics
from pegboard.web.guesses import Guesses, was_wrong
from pegboard_sdk.errors import DomainError, Forbidden, InvalidInput, TooManyRequests, Unauthorized
from pegboard_sdk.ids import new_id
from structlog.testing import capture_logs

from tests.support.platform import TestPlatform
from tests.support.servers import make_config

LIMITS = HttpConfig(guess_failures=3, guess_wait_max=30, stuffing_names=8, stuffing_networks=4)
LOG_IN = "/api/v1/auth/login"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A Redis where no guess was made yet."""
    client = redis.asyncio.from_url(redis_url)
    await forget(client)
    yield client
    await forget(client)
    await client.aclose()


async def forget(client: redis.asyncio.Redis) -> None:
    if keys := [key async for key in client.scan_iter("pegboard:guesses:*")]:
        await client.delete(*keys)


def guesses(platform: TestPlatform, client: redis.asyncio.Redis, http: HttpConfig = LIMITS) -> Guesses:
    return Guesses(client, http, platform.runtime.vault, Metrics())


async def wait_of(guesses: Guesses, network: str) -> int:
    try:
        await guesses.admit(network)
    except TooManyRequests as refusal:
        return int(refusal.headers["Retry-After"])
    return 0


async def test_a_network_that_is_wrong_too_often_waits_twice_as_long_each_time(
    platform: TestPlatform, client: redis.asyncio.Redis
):
    one, other = guesses(platform, client), guesses(platform, client)
    waits: list[int] = []
    for number in range(8):
        await (one if number % 2 else other).failed("203.0.113.9", "ada@example.com")
        waits.append(await wait_of(one, "203.0.113.9"))
    assert waits[:3] == [0, 0, 0]
    assert [round(wait, -1) if wait > 20 else wait for wait in waits[3:]] == [5, 10, 20, 30, 30]
    assert await wait_of(one, "203.0.113.10") == 0


async def test_without_redis_each_process_counts_by_itself(platform: TestPlatform):
    nowhere = redis.asyncio.from_url("redis://127.0.0.1:1")
    alone = guesses(platform, nowhere)
    for _ in range(3):
        await alone.failed("203.0.113.9", "")
    assert await wait_of(alone, "203.0.113.9") == 0
    await alone.failed("203.0.113.9", "")
    assert await wait_of(alone, "203.0.113.9") >= 4
    await nowhere.aclose()


async def test_many_names_from_many_networks_raise_an_alarm_once(platform: TestPlatform, client: redis.asyncio.Redis):
    watching = guesses(platform, client)
    with capture_logs() as logs:
        for number in range(12):
            await watching.failed(f"203.0.113.{number}", f"{number}@example.com")
    (line,) = [line for line in logs if line["event"] == "credential_stuffing.suspected"]
    assert (line["names"], line["networks"]) == (8, 8)
    assert "example.com" not in str(logs)


async def test_one_network_or_one_name_raises_none(platform: TestPlatform, client: redis.asyncio.Redis):
    watching = guesses(platform, client, msgspec.structs.replace(LIMITS, guess_failures=1_000))
    with capture_logs() as logs:
        for number in range(20):
            await watching.failed("203.0.113.9", f"{number}@example.com")
        await forget(client)
        for number in range(20):
            await watching.failed(f"203.0.113.{number}", "ada@example.com")
    assert logs == []


async def test_an_alarm_may_tighten_what_is_free(platform: TestPlatform, client: redis.asyncio.Redis):
    limits = msgspec.structs.replace(LIMITS, guess_failures=20, stuffing_tightens=True)
    tight = guesses(platform, client, limits)
    for _ in range(3):
        await tight.failed("198.51.100.1", "ada@example.com")
    assert await wait_of(tight, "198.51.100.1") == 0
    for number in range(12):
        await tight.failed(f"203.0.113.{number}", f"{number}@example.com")
    await tight.failed("198.51.100.1", "ada@example.com")
    assert await wait_of(tight, "198.51.100.1") > 0


async def test_names_are_nowhere_in_redis(platform: TestPlatform, client: redis.asyncio.Redis):
    name = f"{new_id().hex}@example.com"
    await guesses(platform, client).failed("203.0.113.9", name)
    for key in [key async for key in client.scan_iter("pegboard:guesses:*")]:
        assert name.encode() not in key
        assert name.encode() not in (await client.dump(key) or b"")


class Refused(DomainError):
    code = "auth.one_time_token_invalid"


@pytest.mark.parametrize(
    ("problem", "wrong"),
    [
        (None, False),
        (Unauthorized("no"), True),
        (Refused("no"), True),
        (Forbidden("no"), False),
        (InvalidInput("no"), False),
        (TooManyRequests("no", retry_after=1), False),
    ],
)
def test_what_counts_as_a_wrong_guess(problem: DomainError | None, wrong: bool):
    assert was_wrong(problem) is wrong


async def test_log_ins_refreshes_and_tokens_count_together(
    tmp_path: Path, database_url: str, redis_url: str, client: redis.asyncio.Redis
):
    config = make_config(tmp_path, database_url, redis_url, PEGBOARD_HTTP__GUESS_FAILURES="3")
    running = TestPlatform(config)
    await running.start()
    try:
        caller = running.client(address="2001:db8:7::1")
        neighbour = running.client(address="2001:db8:7::2")
        wrong = {"email": f"{new_id().hex}@example.com", "password": "not the password"}
        assert (await caller.post(LOG_IN, json=wrong)).status_code == 401
        assert (await neighbour.post("/api/v1/auth/refresh", json={"refresh_token": "x" * 43})).status_code == 401
        assert (await caller.post("/api/v1/auth/email/verify", json={"token": "x" * 43})).status_code == 400
        assert (await caller.post(LOG_IN, json={"email": "a"})).status_code == 400
        assert (await caller.post(LOG_IN, json=wrong)).status_code == 401
        for one in (caller, neighbour):
            held = await one.post(LOG_IN, json=wrong)
            assert (held.status_code, held.json()["code"]) == (429, "too_many_requests")
            assert 1 <= int(held.headers["retry-after"]) <= 5
        elsewhere = running.client(address="2001:db8:8::1")
        assert (await elsewhere.post(LOG_IN, json=wrong)).status_code == 401
        assert (await caller.get("/health/live")).status_code == 200
    finally:
        await running.stop()
