"""Whatever becomes of requests, in whatever order and however many at once: no token is spent twice or too much."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard_ai_providers.errors import QuotaExhausted
from pegboard_ai_providers.openai import OpenAICompatible
from pegboard_ai_providers.service.metering import Meter, Reservation
from pegboard_ai_providers.service.usage import UsageService
from pegboard_sdk.ai import ChatMessage, ChatRequest, TokenUsage

from tests.plugins.ai_providers.factories import TEMPLATE_BOUND, expire, stepped, with_settings
from tests.support.platform import Account, TestPlatform

LIMIT = 1_000
BOOKS = """
SELECT q.used_tokens AS used, q.reserved_tokens AS reserved,
    coalesce(sum(u.prompt_tokens + u.completion_tokens), 0)::bigint AS counted,
    coalesce(sum(u.reserved_tokens) FILTER (WHERE u.state = 'reserved'), 0)::bigint AS under_way,
    coalesce(sum(greatest(0, u.prompt_tokens + u.completion_tokens - u.reserved_tokens)), 0)::bigint AS beyond
FROM ai_providers_quotas q LEFT JOIN ai_providers_usage u USING (account_id, day)
GROUP BY q.id
"""


class Step(msgspec.Struct, frozen=True):
    """Something that happens: to the request `which`, where it is about one; `tokens` are asked for, or counted."""

    what: str
    which: int
    tokens: int


STEPS = st.builds(
    Step,
    st.sampled_from(("ask", "ask", "ask", "settle", "settle", "fail", "crash")),
    st.integers(0, 9),
    st.one_of(st.integers(1, 400), st.integers(0, 3_000)),
)


class Desk:
    """One account's requests, each with the meter of its own that a request has."""

    def __init__(self, platform: TestPlatform, account: Account) -> None:
        self.platform = platform
        self.account = account
        self.registry = with_settings(platform, daily_tokens=LIMIT)
        self.provider = OpenAICompatible(base_url="")
        self.requests: list[tuple[Meter, Reservation]] = []

    def do(self, step: Step) -> Coroutine[Any, Any, bool | None]:
        actions: dict[str, Callable[[Step], Coroutine[Any, Any, bool | None]]] = {
            "ask": self.ask, "settle": self.settle, "fail": self.fail, "crash": self.crash,
        }  # fmt: skip
        return actions[step.what](step)

    async def ask(self, step: Step) -> bool:
        meter = Meter(stepped(self.platform, self.account, self.registry), self.account.id)
        request = ChatRequest(model="m", messages=[ChatMessage("user", "")], max_tokens=max(1, step.tokens))
        try:
            self.requests.append((meter, await meter.reserve(self.provider, request)))
        except QuotaExhausted:
            return False
        return True

    async def settle(self, step: Step) -> None:
        if self.requests:
            meter, reservation = self.requests[step.which % len(self.requests)]
            await meter.settle(reservation, TokenUsage(step.tokens, step.which), estimated=False)

    async def fail(self, step: Step) -> None:
        if self.requests:
            meter, reservation = self.requests[step.which % len(self.requests)]
            await meter.release(reservation)

    async def crash(self, _: Step) -> None:
        """All that is under way is lost, and its reservations are over."""
        await expire(self.platform, self.account.tenant_id)
        async with self.platform.work(self.platform.system(self.account.tenant_id)) as work:
            await UsageService(work).settle_lost(100)

    async def check(self) -> tuple[int, int]:
        async with self.platform.work(self.platform.system(self.account.tenant_id)) as work:
            books = await work.fetchrow(BOOKS)
        if books is None:
            return 0, 0
        assert books["used"] == books["counted"]
        assert books["reserved"] == books["under_way"]
        assert books["used"] >= 0
        assert books["reserved"] >= 0
        assert books["used"] + books["reserved"] <= LIMIT + books["beyond"]
        return books["used"], books["reserved"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(st.lists(STEPS, min_size=1, max_size=4), max_size=12))
async def test_no_token_is_spent_twice_or_too_much(platform: TestPlatform, batches: list[list[Step]]):
    desk = Desk(platform, await platform.account(await platform.tenant()))
    used = reserved = 0
    for batch in batches:
        before = used + reserved
        outcomes = await asyncio.gather(*(desk.do(step) for step in batch))
        used, reserved = await desk.check()
        if len(batch) == 1 and batch[0].what == "ask":
            fits = before + max(1, batch[0].tokens) + TEMPLATE_BOUND <= LIMIT
            assert outcomes == [fits]
            assert used + reserved == before + (max(1, batch[0].tokens) + TEMPLATE_BOUND) * fits
