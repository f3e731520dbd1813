"""Rate limits: counted in the process, shared through Redis in the background, never switched off by an outage."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import redis.exceptions
import structlog
from pegboard_sdk.errors import TooManyRequests

from pegboard.background import supervised
from pegboard.web.quotas import Quota

__all__ = ("RateLimiter",)

WINDOW = 60
MAX_KEYS = 100_000
log = structlog.get_logger("pegboard.ratelimit")


class _Counter:
    """Requests of one key: in this window (others' and ours as Redis knows them, and ours that it does not know yet)
    and in the one before.
    """

    __slots__ = ("known", "pending", "previous", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.known = 0
        self.pending = 0
        self.previous = 0

    def roll(self, window: int) -> None:
        if window != self.window:
            self.previous = self.known + self.pending if window == self.window + 1 else 0
            self.known = self.pending = 0
            self.window = window


class RateLimiter:
    """A sliding-window counter per key: the last window's count fades out while this one's fills.

    `check` counts in memory. `sync`, once a second, adds what was counted to Redis and learns what other processes
    counted. `check_shared`, for routes where each guess matters, asks Redis at once. With Redis down both count on
    in this process alone.
    """

    def __init__(self, redis: Any, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._counters: dict[str, _Counter] = {}
        self._touched: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._reachable = True

    def start(self) -> None:
        """Begin to share counts."""
        self._task = supervised("rate-limits", self._run)

    async def stop(self) -> None:
        """End sharing; what was not shared yet is lost, as counts may be."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check(self, key: str, limit: int) -> Quota | None:
        """Count one request of `key`, whose part before the first colon names the policy. Who has used three quarters
        of it gets to know what is left; to others that is not worth a header.

        Raises:
            TooManyRequests: more than `limit` in a minute.
        """
        now = self._clock()
        window = int(now) // WINDOW
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= MAX_KEYS:
                self._forget(window)
            counter = self._counters[key] = _Counter(window)
        elif counter.window != window:
            counter.roll(window)
        used = counter.known + counter.pending
        wait = _wait(used, counter.previous, limit, now)
        if wait:
            raise _refusal(key, limit, wait)
        counter.pending += 1
        self._touched.add(key)
        if 4 * (used + 1 + counter.previous) < 3 * limit:
            return None
        elapsed = int(now) % WINDOW
        left = limit - used - 1 - counter.previous * (WINDOW - elapsed) // WINDOW
        return Quota(_policy(key), limit, WINDOW, left, WINDOW - elapsed) if 4 * left <= limit else None

    async def check_shared(self, key: str, limit: int) -> None:
        """Count one request of `key` in Redis before going on.

        Raises:
            TooManyRequests: more than `limit` in a minute, over all processes.
        """
        now = self._clock()
        window = int(now) // WINDOW
        try:
            async with asyncio.timeout(1):
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.incr(self._name(key, window))
                pipeline.expire(self._name(key, window), WINDOW * 2)
                pipeline.get(self._name(key, window - 1))
                count, _, previous = await pipeline.execute()
                wait = _wait(count - 1, int(previous or 0), limit, now)
                if wait:
                    await self._redis.decr(self._name(key, window))  # what is refused doesn't count
        except (redis.exceptions.RedisError, OSError, TimeoutError):
            self.check(key, limit)
            return
        if wait:
            raise _refusal(key, limit, wait)

    async def sync(self) -> None:
        """Exchange counts with Redis, in one round trip."""
        touched, self._touched = self._touched, set()
        counters = [(key, self._counters[key]) for key in touched if key in self._counters]
        if not counters:
            return
        sent = [(key, counter, counter.pending, counter.window) for key, counter in counters]
        pipeline = self._redis.pipeline(transaction=False)
        for key, _, pending, window in sent:
            pipeline.incrby(self._name(key, window), pending)
            pipeline.expire(self._name(key, window), WINDOW * 2)
        totals = (await pipeline.execute())[::2]
        for (_, counter, pending, window), total in zip(sent, totals, strict=True):
            if counter.window == window:
                counter.known = int(total)
                counter.pending -= pending

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                async with asyncio.timeout(2):
                    await self.sync()
                if not self._reachable:
                    log.info("ratelimit.shared")
                self._reachable = True
            except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
                if self._reachable:
                    log.warning("ratelimit.local_only", error=type(error).__name__)
                self._reachable = False

    def _forget(self, window: int) -> None:
        self._counters = {key: counter for key, counter in self._counters.items() if counter.window >= window}
        if len(self._counters) >= MAX_KEYS:
            # That many callers in one minute: forget the oldest half rather than grow or refuse everybody.
            self._counters = dict(list(self._counters.items())[MAX_KEYS // 2 :])

    @staticmethod
    def _name(key: str, window: int) -> str:
        return f"pegboard:rate:{key}:{window}"


def _wait(current: int, previous: int, limit: int, now: float) -> int:
    """Seconds until one more request fits, 0 if it does now; `current` and `previous` are the windows' counts."""
    # Everything in multiples of a window, with one division at the end: rounded fractions would be a second off.
    elapsed = now % WINDOW
    if previous * (WINDOW - elapsed) <= WINDOW * (limit - 1 - current):
        return 0
    if current < limit:
        # Later in this window, when enough of the last one has faded.
        return max(1, math.ceil((previous * (WINDOW - elapsed) - WINDOW * (limit - 1 - current)) / previous))
    # In the next window, when enough of this one has faded.
    return math.ceil((current * (2 * WINDOW - elapsed) - WINDOW * (limit - 1)) / current)


def _refusal(key: str, limit: int, wait: int) -> TooManyRequests:
    refusal = TooManyRequests("Too many requests: wait for the seconds that Retry-After says.", retry_after=wait)
    quota = Quota(_policy(key), limit, WINDOW, 0, wait)
    refusal.headers |= {"RateLimit-Policy": quota.policy, "RateLimit": quota.state}
    return refusal


def _policy(key: str) -> str:
    return key.partition(":")[0]
