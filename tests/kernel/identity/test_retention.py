"""Old sessions go; a session that an access token may still name stays where the revocation feed sees it."""

from uuid import UUID

import asyncpg
import pytest
from pegboard.identity import jobs
from pegboard.identity.jobs import DELETE_ENDED_SESSIONS, DeleteEndedSessions
from pegboard.identity.sessions import SessionService

from tests.kernel.identity.conftest import LogIn, stepped
from tests.support.platform import TestPlatform


async def test_sessions_that_ended_long_ago_are_removed(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    recent, old, elsewhere = (
        await open_session(tenant),
        await open_session(tenant),
        await open_session(await platform.tenant()),
    )
    async with platform.runtime.database.system_transaction() as connection:
        for session, days in ((recent, 29), (old, 31), (elsewhere, 31)):
            await connection.execute(
                "UPDATE kernel_sessions SET expires_at = now() - make_interval(days => $2) WHERE id = $1",
                session.session_id,
                days,
            )
    async with platform.work(platform.system(tenant)) as work:
        await work.enqueue(DELETE_ENDED_SESSIONS, DeleteEndedSessions())
    await platform.drain()
    async with platform.runtime.database.system_transaction() as connection:
        ids = [session.session_id for session in (recent, old, elsewhere)]
        sessions = await connection.fetch("SELECT id FROM kernel_sessions WHERE id = ANY($1) ORDER BY id", ids)
        tokens = await connection.fetch(
            "SELECT session_id FROM kernel_refresh_tokens WHERE session_id = ANY($1) ORDER BY session_id", ids
        )
    assert [row["id"] for row in sessions] == sorted((recent.session_id, elsewhere.session_id))
    assert [row["session_id"] for row in tokens] == sorted((recent.session_id, elsewhere.session_id))


async def test_expired_tokens_of_a_session_that_goes_on_are_removed(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 2)
    session = await open_session(tenant)
    token = session.refresh_token
    for _ in range(5):
        token = (await SessionService(platform.runtime).refresh(stepped(platform, tenant), token)).refresh_token
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_refresh_tokens SET expires_at = now() - interval '25 hours' WHERE id IN ("
            " SELECT id FROM kernel_refresh_tokens WHERE session_id = $1 ORDER BY id LIMIT 4)",
            session.session_id,
        )
    async with platform.work(platform.system(tenant)) as work:
        await work.enqueue(DELETE_ENDED_SESSIONS, DeleteEndedSessions())
    await platform.drain()
    async with platform.work(platform.system(tenant)) as work:
        left = await work.fetch(
            "SELECT parent_id IS NULL AS orphan, used_at IS NOT NULL AS used FROM kernel_refresh_tokens"
            " WHERE session_id = $1 ORDER BY id",
            session.session_id,
        )
    assert [(row["orphan"], row["used"]) for row in left] == [(True, True), (False, False)], (
        "used, yet not expired: kept"
    )
    assert await SessionService(platform.runtime).refresh(stepped(platform, tenant), token)


async def test_an_account_with_sessions_can_not_be_deleted(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    session = await open_session(tenant)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with platform.runtime.database.system_transaction() as connection:
            await connection.execute("DELETE FROM kernel_accounts WHERE id = $1", session.account_id)
