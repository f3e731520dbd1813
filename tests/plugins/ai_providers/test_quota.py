"""The day's tokens: what doesn't fit is refused before it is sent, however many ask at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.plugins.ai_providers.factories import (
    ROOT,
    TEMPLATE_BOUND,
    ask,
    counted,
    newcomer,
    request,
    run_janitor,
    streamed,
    usage_of,
)
from tests.plugins.ai_providers.peer import Peer, chunk, events
from tests.support.aimock import AIMock
from tests.support.platform import Account, TestPlatform

LIMIT = 1_200


@pytest.fixture
async def thrifty(strict: TestPlatform, aimock: AIMock) -> Account:
    """Somebody with 1,200 tokens a day."""
    return await newcomer(strict, aimock.base_url)


async def exhausted_events(platform: TestPlatform, account: Account) -> int:
    async with platform.runtime.database.system_transaction() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM kernel_events WHERE tenant_id = $1 AND name = 'ai_providers.quota_exhausted'",
            account.tenant_id,
        )


def assert_refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "ai_providers.quota_exhausted")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    left = (midnight - datetime.now(UTC)).total_seconds()
    assert 0 < int(answer.headers["retry-after"]) <= left + 2


async def test_what_does_not_fit_is_refused_before_it_is_sent(thrifty: Account, aimock: AIMock, tag: str):
    text = f"greet me {tag} " + "x" * 900
    tokens = len(text) + TEMPLATE_BOUND + 100
    assert tokens <= LIMIT
    too_long = text + "x" * (LIMIT - tokens + 1)
    assert_refused(await ask(thrifty, too_long))
    assert_refused(await thrifty.client.post(f"{ROOT}/completions/stream", json=request(too_long)))
    assert aimock.requests(tag) == []
    assert await usage_of(thrifty) == []
    assert (await ask(thrifty, too_long[:-1])).status_code == 200
    assert await counted(thrifty) == (20, 0)


async def test_it_is_used_up_to_the_last_token_and_no_further(strict: TestPlatform, thrifty: Account, aimock: AIMock):
    sent = 0
    while (answer := await ask(thrifty, f"greet me {'x' * 700}")).status_code == 200 and sent < 100:
        sent += 1
    assert_refused(answer)
    needed = len("greet me ") + 700 + TEMPLATE_BOUND + 100
    assert sent == (LIMIT - needed) // 20 + 1
    assert await counted(thrifty) == (20 * sent, 0)
    small = await ask(thrifty, "greet me", max_tokens=5)
    assert small.status_code == 200


async def test_a_refusal_is_told_to_others_once_a_day(strict: TestPlatform, thrifty: Account):
    for _ in range(3):
        assert_refused(await ask(thrifty, "x" * LIMIT))
    assert_refused(await thrifty.client.post(f"{ROOT}/completions/stream", json=request("x" * LIMIT)))
    assert await exhausted_events(strict, thrifty) == 1
    await run_janitor(strict, thrifty.tenant_id)
    assert await counted(thrifty) == (0, 0)


async def test_many_at_once_cannot_overspend(strict: TestPlatform):
    """All ask while the provider still thinks about the first: what is set aside holds the others back."""
    think, text = asyncio.Event(), "x" * 100
    each = len(text) + TEMPLATE_BOUND + 100
    usage = b'"usage": {"prompt_tokens": 11, "completion_tokens": 2}'
    async with Peer(b'{"choices": [{"message": {"content": "There."}}], ' + usage + b"}", hold=think) as peer:
        ada = await newcomer(strict, peer.base_url)
        asking = [asyncio.create_task(ask(ada, text)) for _ in range(24)]
        async with asyncio.timeout(20):
            while len(peer.requests) + sum(task.done() for task in asking) < len(asking):
                used, reserved = await counted(ada)
                assert used + reserved <= LIMIT
        assert await counted(ada) == (0, each * (LIMIT // each))
        think.set()
        answers = await asyncio.gather(*asking)
    assert len(peer.requests) == LIMIT // each
    assert sum(answer.status_code == 200 for answer in answers) == LIMIT // each
    for answer in answers:
        if answer.status_code != 200:
            assert_refused(answer)
    assert await counted(ada) == (13 * (LIMIT // each), 0)


async def test_whole_answers_and_streams_share_it(strict: TestPlatform):
    body = events(chunk("There."), chunk(finish="stop"), b"[DONE]")
    async with Peer(body, content_type="text/event-stream", hold=asyncio.Event()) as peer:
        ada = await newcomer(strict, peer.base_url)
        async with streamed(strict, ada, "x" * 700) as answer:
            assert await answer.piece()
            assert_refused(await ask(ada, "x" * 700))
            async with streamed(strict, ada, "x" * 700) as refused:
                assert refused.status == 429
    assert len(peer.requests) == 1


async def test_one_account_does_not_use_anothers(strict: TestPlatform, thrifty: Account):
    other = await strict.account(thrifty.tenant_id)
    assert (await ask(thrifty, "count too much")).status_code == 200
    assert_refused(await ask(thrifty, "greet me"))
    assert (await ask(other, "greet me")).status_code == 200


async def test_what_the_provider_counts_is_what_counts_though_it_is_more_than_was_left(thrifty: Account):
    assert (await ask(thrifty, "count too much")).status_code == 200
    assert await counted(thrifty) == (4_002, 0)
    assert_refused(await ask(thrifty, "hi", max_tokens=1))


async def test_a_new_day_begins_anew(strict: TestPlatform, thrifty: Account):
    assert (await ask(thrifty, "count too much")).status_code == 200
    async with strict.work(strict.system(thrifty.tenant_id)) as work:
        await work.execute("UPDATE ai_providers_quotas SET day = day - 1")
        await work.execute("UPDATE ai_providers_usage SET day = day - 1")
    assert await counted(thrifty) == (0, 0)
    assert (await ask(thrifty, "greet me")).status_code == 200


async def test_an_answer_that_comes_after_midnight_counts_for_the_day_that_it_was_asked_on(
    strict: TestPlatform, thrifty: Account, tag: str
):
    async with streamed(strict, thrifty, f"speak slowly {tag}") as answer:
        assert await answer.piece()
        async with strict.work(strict.system(thrifty.tenant_id)) as work:
            await work.execute("UPDATE ai_providers_quotas SET day = day - 1")
            await work.execute("UPDATE ai_providers_usage SET day = day - 1")
        await answer.rest()
    assert await counted(thrifty) == (0, 0)
    async with strict.work(strict.system(thrifty.tenant_id)) as work:
        row = await work.fetchrow("SELECT used_tokens, reserved_tokens FROM ai_providers_quotas")
    assert row is not None
    assert row["used_tokens"] > 0
    assert row["reserved_tokens"] == 0
