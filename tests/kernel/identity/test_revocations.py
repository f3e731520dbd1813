"""The feed misses no revocation, however slowly it is committed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.database.pool import Database
from pegboard.identity.revocations import MAX_AGE, RevocationFeed
from pegboard.identity.sessions import SessionService
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id

from tests.kernel.identity.conftest import LogIn
from tests.support.platform import TestPlatform

REVOKE = (
    "UPDATE kernel_sessions SET revoked_at = clock_timestamp(), revoked_reason = 'logout',"
    " revoked_xid = pg_current_xact_id() WHERE id = $1"
)


class CountingFeed(RevocationFeed):
    """Counts its questions and how often it tells of a session."""

    def __init__(self, database: Database, *, lifetime: float = 900) -> None:
        super().__init__(database, lifetime=lifetime, on_revoked=lambda session_id: self.told.append(session_id))
        self.told: list[UUID] = []
        self.questions = 0

    async def _question(self, horizon: int | None) -> Any:
        self.questions += 1
        return await super()._question(horizon)

    async def ask_again(self) -> None:
        """As if a second had passed."""
        self.as_of -= MAX_AGE
        await self.ensure()


@pytest.fixture
def feed(platform: TestPlatform) -> CountingFeed:
    return CountingFeed(platform.runtime.database)


@pytest.fixture
async def slow(platform: TestPlatform) -> AsyncIterator[Any]:
    """A connection whose transaction takes its time."""
    connection = await asyncpg.connect(platform.runtime.database.urls.system)
    yield connection
    await connection.close()


async def test_it_tells_once_of_each_session(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, feed: CountingFeed
) -> None:
    await feed.ensure()
    session = await open_session(tenant)
    async with platform.work(platform.system(tenant)) as work:
        await SessionService(platform.runtime).revoke(work, "logout", session_id=session.session_id)
    for _ in range(3):
        await feed.ask_again()
    assert feed.is_revoked(session.session_id)
    assert feed.told.count(session.session_id) == 1


@pytest.mark.parametrize("feed_begins", ["before", "during"])
async def test_a_slow_commit_is_not_missed(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, feed: CountingFeed, slow: Any, feed_begins: str
) -> None:
    slowly, quickly = await open_session(tenant), await open_session(tenant)
    if feed_begins == "before":
        await feed.ensure()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(REVOKE, slowly.session_id)
    for _ in range(3):  # others commit meanwhile, and the feed goes on
        async with platform.runtime.database.system_transaction() as connection:
            await connection.execute(REVOKE, quickly.session_id)
        await feed.ask_again()
    assert feed.is_revoked(quickly.session_id)
    assert not feed.is_revoked(slowly.session_id)
    assert feed.told.count(quickly.session_id) == 1, "rows are read again; nobody is told again"
    await transaction.commit()
    await feed.ask_again()
    assert feed.is_revoked(slowly.session_id)


async def test_what_was_rolled_back_was_not_revoked(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, feed: CountingFeed, slow: Any
) -> None:
    session = await open_session(tenant)
    await feed.ensure()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(REVOKE, session.session_id)
    await transaction.rollback()
    await feed.ask_again()
    assert not feed.is_revoked(session.session_id)


async def test_a_new_process_knows_of_earlier_revocations(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, runtime: Runtime
) -> None:
    session = await open_session(tenant)
    async with platform.work(platform.system(tenant)) as work:
        await SessionService(platform.runtime).revoke(work, "logout", session_id=session.session_id)
    await runtime.authenticator.revocations.ensure()
    assert runtime.authenticator.revocations.is_revoked(session.session_id)


async def test_another_server_with_lower_ids_is_read_anew(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, feed: CountingFeed
) -> None:
    session = await open_session(tenant)
    await feed.ensure()
    feed._horizon = 2**62  # as if the database that was asked before had lived much longer
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(REVOKE, session.session_id)
    await feed.ask_again()
    assert feed.is_revoked(session.session_id)


async def test_it_keeps_itself_fresh(runtime: Runtime) -> None:
    feed = runtime.authenticator.revocations
    await feed.start()
    intervals = []
    async with asyncio.timeout(30):
        for _ in range(3):
            before = feed.as_of
            while feed.as_of == before:  # noqa: ASYNC110  # the feed is watched, not told
                await asyncio.sleep(0.01)
            intervals.append(feed.as_of - before)
    assert min(intervals) < MAX_AGE, intervals


async def test_it_goes_on_after_an_error_that_nobody_expects(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    session = await open_session(tenant)
    failed = asyncio.Event()

    def fail(session_id: UUID) -> None:
        if session_id == session.session_id:
            failed.set()
            raise ZeroDivisionError

    feed = RevocationFeed(platform.runtime.database, lifetime=900, on_revoked=fail)
    await feed.start()
    try:
        async with platform.runtime.database.system_transaction() as connection:
            await connection.execute(REVOKE, session.session_id)
        async with asyncio.timeout(20):
            await failed.wait()
            stale = feed.as_of
            while feed.as_of == stale:  # noqa: ASYNC110  # the feed is watched, not told
                await asyncio.sleep(0.01)
    finally:
        await feed.stop()


async def test_all_who_wait_share_one_question(feed: CountingFeed) -> None:
    await asyncio.gather(*(feed.ensure() for _ in range(50)))
    assert feed.questions == 1
    await asyncio.gather(*(feed.ensure() for _ in range(50)))
    assert feed.questions == 1
    await asyncio.gather(*(feed.ask_again() for _ in range(50)))
    assert feed.questions == 2


async def test_a_session_is_forgotten_once_its_tokens_have_expired(platform: TestPlatform) -> None:
    feed = CountingFeed(platform.runtime.database, lifetime=-60)  # the margin is a minute
    session_id = new_id()
    feed.add(session_id)
    assert feed.is_revoked(session_id)
    await feed.ask_again()
    assert not feed.is_revoked(session_id)


async def test_it_asks_through_the_index(platform: TestPlatform) -> None:
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch("EXPLAIN SELECT id FROM kernel_sessions WHERE revoked_xid >= $1::text::xid8", "1")
    assert "kernel_sessions_revoked_xid" in "\n".join(row[0] for row in plan)
