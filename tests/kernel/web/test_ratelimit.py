"""Rates: counted here, shared through Valkey, never off."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from pegboard.web.ratelimit import RateLimiter
from pegboard_sdk.errors import TooManyRequests
from pegboard_sdk.ids import new_id


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 6000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def key() -> str:
    return f"test:{new_id()}"


def spend(limiter: RateLimiter, key: str, limit: int, times: int) -> None:
    for _ in range(times):
        limiter.check(key, limit)


@given(limit=st.integers(1, 30), spread=st.lists(st.integers(0, 59), min_size=1, max_size=60), start=st.integers(0, 59))
async def test_who_waits_as_told_is_let_in_and_no_sooner(limit: int, spread: list[int], start: int):
    """Whatever came before: after Retry-After seconds one request fits, and a second earlier none did."""
    clock = Clock(6000.0 + start)
    limiter = RateLimiter(redis.asyncio.from_url("redis://127.0.0.1:1"), clock=clock)
    for pause in sorted(spread):
        clock.now = 6000.0 + start + pause
        with contextlib.suppress(TooManyRequests):
            limiter.check("key", limit)
    try:
        limiter.check("key", limit)
    except TooManyRequests as refusal:
        wait = int(refusal.headers["Retry-After"])
        before = clock.now
        if wait > 1:
            clock.now = before + wait - 1
            with pytest.raises(TooManyRequests):
                limiter.check("key", limit)
        clock.now = before + wait
        limiter.check("key", limit)


async def test_the_limit_holds_and_refusals_don_t_count(client: redis.asyncio.Redis, key: str):
    clock = Clock(6000.0 + 18)
    limiter = RateLimiter(client, clock=clock)
    spend(limiter, key, 5, 5)
    for _ in range(10):
        with pytest.raises(TooManyRequests) as refusal:
            limiter.check(key, 5)
        assert refusal.value.headers == {
            "Retry-After": "54",
            "RateLimit-Policy": '"test";q=5;w=60',
            "RateLimit": '"test";r=0;t=54',
        }
        assert refusal.value.status == 429
    clock.now += 54
    limiter.check(key, 5)


async def test_who_has_used_three_quarters_is_told_what_is_left(client: redis.asyncio.Redis, key: str):
    limiter = RateLimiter(client, clock=Clock(6000.0 + 18))
    told = [limiter.check(key, 8) for _ in range(8)]
    assert told[:5] == [None] * 5
    assert [quota.state for quota in told[5:] if quota] == [f'"test";r={left};t=42' for left in (2, 1, 0)]


async def test_the_last_window_fades_out(client: redis.asyncio.Redis, key: str):
    clock = Clock()
    limiter = RateLimiter(client, clock=clock)
    spend(limiter, key, 10, 10)
    clock.now += 60 + 30  # half of the next window: half of the last one's ten still count
    spend(limiter, key, 10, 5)
    with pytest.raises(TooManyRequests):
        limiter.check(key, 10)


async def test_two_windows_later_nothing_counts_any_more(client: redis.asyncio.Redis, key: str):
    clock = Clock()
    limiter = RateLimiter(client, clock=clock)
    spend(limiter, key, 10, 10)
    clock.now += 120
    spend(limiter, key, 10, 10)


async def test_processes_share_their_counts(client: redis.asyncio.Redis, key: str):
    clock = Clock()
    one, other = RateLimiter(client, clock=clock), RateLimiter(client, clock=clock)
    spend(one, key, 10, 6)
    spend(other, key, 10, 4)
    await one.sync()
    await other.sync()
    with pytest.raises(TooManyRequests):
        other.check(key, 10)


async def test_sync_counts_nothing_twice(client: redis.asyncio.Redis, key: str):
    limiter = RateLimiter(client, clock=Clock())
    spend(limiter, key, 10, 4)
    await limiter.sync()
    await limiter.sync()
    spend(limiter, key, 10, 6)
    with pytest.raises(TooManyRequests):
        limiter.check(key, 10)


async def test_guesses_are_counted_together_at_once(client: redis.asyncio.Redis, key: str):
    clock = Clock()
    one, other = RateLimiter(client, clock=clock), RateLimiter(client, clock=clock)
    for limiter in (one, other, one):
        await limiter.check_shared(key, 3)
    with pytest.raises(TooManyRequests):
        await other.check_shared(key, 3)


async def test_without_redis_guesses_are_counted_here(key: str):
    nowhere = redis.asyncio.from_url("redis://127.0.0.1:1")
    limiter = RateLimiter(nowhere, clock=Clock())
    for _ in range(3):
        await limiter.check_shared(key, 3)
    with pytest.raises(TooManyRequests):
        await limiter.check_shared(key, 3)
    await nowhere.aclose()
