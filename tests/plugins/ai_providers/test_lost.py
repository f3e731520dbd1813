"""What ends between reserving and settling is counted once, whatever ended it and whoever comes back."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from pegboard_ai_providers.jobs import BATCH
from pegboard_ai_providers.repository import UsageRepository
from pegboard_ai_providers.service.metering import settle
from pegboard_sdk.ai import TokenUsage

from tests.plugins.ai_providers.factories import (
    COMPLETIONS,
    TEMPLATE_BOUND,
    counted,
    expire,
    newcomer,
    request,
    run_janitor,
    usage_of,
)
from tests.plugins.ai_providers.peer import Peer
from tests.support.platform import Account, TestPlatform

STOP_WAITING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"
ANSWER = b'{"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 11, "completion_tokens": 2}}'
SET_ASIDE = 2 + TEMPLATE_BOUND + 256


async def seen(connection: asyncpg.Connection, sql: str, account: Account) -> int | None:
    """What `sql` finds among the connections of the account's tenant now: a transaction sees them as at its first look
    unless told to look anew.
    """
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return await connection.fetchval(sql, f"pegboard:{account.tenant_id}")


@pytest.fixture
async def crashed(platform: TestPlatform) -> Account:
    """Somebody whose request was under way when its process ended."""
    async with Peer(b"{", hold=asyncio.Event()) as peer:
        ada = await newcomer(platform, peer.base_url)
        under_way = asyncio.create_task(ada.client.post(COMPLETIONS, json=request("hi")))
        async with asyncio.timeout(10):
            await peer.asked.wait()
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
    return ada


async def metered(platform: TestPlatform, account: Account) -> int:
    async with platform.runtime.database.system_transaction() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM kernel_events WHERE tenant_id = $1 AND name = 'ai_providers.completion_metered'",
            account.tenant_id,
        )


async def test_a_crash_leaves_a_reservation_which_is_counted_once(platform: TestPlatform, crashed: Account):
    assert await counted(crashed) == (0, SET_ASIDE)
    await run_janitor(platform, crashed.tenant_id)
    assert await counted(crashed) == (0, SET_ASIDE), "its time is not over yet"
    await expire(platform, crashed.tenant_id)
    for _ in range(2):
        await run_janitor(platform, crashed.tenant_id)
        assert await counted(crashed) == (SET_ASIDE, 0)
    (row,) = await usage_of(crashed)
    assert (row["state"], row["prompt_tokens"], row["estimated"]) == ("lost", SET_ASIDE, True)
    assert await metered(platform, crashed) == 1


async def test_janitors_that_come_at_once_count_it_once(platform: TestPlatform, crashed: Account):
    await expire(platform, crashed.tenant_id)
    await asyncio.gather(*(run_janitor(platform, crashed.tenant_id) for _ in range(4)))
    assert await counted(crashed) == (SET_ASIDE, 0)
    assert await metered(platform, crashed) == 1


@pytest.mark.parametrize("state", ["settled", "failed"])
async def test_who_comes_back_from_the_dead_changes_nothing(platform: TestPlatform, crashed: Account, state: str):
    await expire(platform, crashed.tenant_id)
    await run_janitor(platform, crashed.tenant_id)
    usage_id = UUID((await usage_of(crashed))[0]["id"])
    async with platform.work(crashed) as work:
        if state == "settled":
            await settle(work, usage_id, "settled", TokenUsage(7, 7), estimated=False)
        else:
            await UsageRepository(work).settle(usage_id, "failed", TokenUsage(0, 0), estimated=False)
    assert await counted(crashed) == (SET_ASIDE, 0)
    assert await metered(platform, crashed) == 1


async def test_whoever_settles_first_counts(platform: TestPlatform, crashed: Account):
    usage_id = UUID((await usage_of(crashed))[0]["id"])
    await expire(platform, crashed.tenant_id)

    async def finish() -> None:
        async with platform.work(crashed) as work:
            await settle(work, usage_id, "settled", TokenUsage(3, 4), estimated=False)

    await asyncio.gather(finish(), run_janitor(platform, crashed.tenant_id))
    (row,) = await usage_of(crashed)
    assert await counted(crashed) == ((7, 0) if row["state"] == "settled" else (SET_ASIDE, 0))
    assert await metered(platform, crashed) == 1


async def test_there_may_be_more_than_a_job_settles(platform: TestPlatform, crashed: Account):
    more = BATCH + 3
    async with platform.work(platform.system(crashed.tenant_id)) as work:
        await work.execute(
            "INSERT INTO ai_providers_usage (id, tenant_id, account_id, provider, model, day, reserved_tokens,"
            " request_id, expires_at) SELECT gen_random_uuid(), tenant_id, account_id, provider, model, day, 1, 'x',"
            " now() FROM ai_providers_usage, generate_series(1, $1)",
            more,
        )
        await work.execute("UPDATE ai_providers_quotas SET reserved_tokens = reserved_tokens + $1", more)
    await expire(platform, crashed.tenant_id)
    await run_janitor(platform, crashed.tenant_id)
    assert await counted(crashed) == (SET_ASIDE + more, 0)


async def test_a_release_that_fails_is_the_janitors(platform: TestPlatform, database_url: str):
    """The caller hears of the provider's failure; that the database failed too is in the log."""
    think = asyncio.Event()
    superuser = await asyncpg.connect(database_url)
    async with Peer(b"nonsense", hold=think) as peer, asyncio.timeout(20):
        ada = await newcomer(platform, peer.base_url)
        asking = asyncio.create_task(ada.client.post(COMPLETIONS, json=request("hi")))
        await peer.asked.wait()
        async with superuser.transaction():
            await superuser.execute("SELECT FROM ai_providers_usage WHERE account_id = $1 FOR UPDATE", ada.id)
            think.set()
            while not await seen(superuser, STOP_WAITING, ada):
                assert not asking.done()
            answer = await asking
    await superuser.close()
    assert (answer.status_code, answer.json()["code"]) == (502, "ai_providers.provider_answer_unreadable")
    assert await counted(ada) == (0, SET_ASIDE)
    await expire(platform, ada.tenant_id)
    await run_janitor(platform, ada.tenant_id)
    assert await counted(ada) == (SET_ASIDE, 0)


async def test_what_the_provider_did_is_counted_though_nobody_waits_for_it_any_more(
    platform: TestPlatform, database_url: str
):
    """The request is cancelled amid its settling, which is done to its end."""
    think = asyncio.Event()
    superuser = await asyncpg.connect(database_url)
    async with Peer(ANSWER, hold=think) as peer, asyncio.timeout(20):
        ada = await newcomer(platform, peer.base_url)
        asking = asyncio.create_task(ada.client.post(COMPLETIONS, json=request("hi")))
        await peer.asked.wait()
        async with superuser.transaction():
            await superuser.execute("SELECT FROM ai_providers_usage WHERE account_id = $1 FOR UPDATE", ada.id)
            think.set()
            while not await seen(superuser, WAITING, ada):
                assert not asking.done()
            asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await superuser.close()
    assert await counted(ada) == (13, 0)
