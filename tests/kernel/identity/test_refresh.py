"""Refresh tokens rotate; the grace interval forgives a lost answer; reuse ends the session."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import asyncpg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pegboard.identity.errors import RefreshTokenInvalid, RefreshTokenReused, SessionEnded
from pegboard.identity.refresh_tokens import RefreshTokens
from pegboard.identity.sessions import OpenSession, SessionService
from pegboard.vault.vault import Vault
from pegboard_sdk.errors import DomainError

from tests.kernel.identity.conftest import LogIn, stepped
from tests.support.platform import TestPlatform

Step = tuple[Literal["refresh"], int] | tuple[Literal["grace passes", "log out", "a stranger's token"], None]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refresh"), st.integers(0, 3)),
        st.sampled_from([("grace passes", None), ("log out", None), ("a stranger's token", None)]),
    ),
    max_size=12,
)


async def refresh(platform: TestPlatform, tenant: UUID, token: str) -> OpenSession:
    return await SessionService(platform.runtime).refresh(stepped(platform, tenant), token)


async def let_grace_pass(platform: TestPlatform, session: OpenSession) -> None:
    """As if the tokens that were used had been used a minute earlier."""
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_refresh_tokens SET used_at = used_at - interval '1 minute' WHERE session_id = $1",
            session.session_id,
        )


async def log_out(platform: TestPlatform, session: OpenSession) -> None:
    async with platform.work(platform.system(session.tenant_id)) as work:
        await SessionService(platform.runtime).revoke(work, "logout", session_id=session.session_id)


async def stored(platform: TestPlatform, session: OpenSession) -> tuple[list[bytes], str | None]:
    """The digests of a session's tokens, oldest first, and why it was ended."""
    async with platform.work(platform.system(session.tenant_id)) as work:
        rows = await work.fetch(
            "SELECT digest FROM kernel_refresh_tokens WHERE session_id = $1 ORDER BY id", session.session_id
        )
        reason = await work.fetchval("SELECT revoked_reason FROM kernel_sessions WHERE id = $1", session.session_id)
    return [row["digest"] for row in rows], reason


class Family:
    """What a family of refresh tokens must do, in memory: the rule that the database's is compared with."""

    def __init__(self, first: str) -> None:
        self.tokens = [first]
        self.ended: str | None = None
        self.in_grace = False

    def expected(self, index: int) -> type[DomainError] | Literal["new", "same"]:
        if self.ended:
            return SessionEnded
        newest = len(self.tokens) - 1
        if index == newest:
            return "new"
        if index == newest - 1 and self.in_grace:
            return "same"
        return RefreshTokenReused


@settings(max_examples=60, deadline=None)
@example(steps=[("refresh", 0), ("refresh", 1), ("refresh", 1), ("refresh", 0)])
@example(steps=[("refresh", 0), ("grace passes", None), ("refresh", 1), ("refresh", 0)])
@example(steps=[("refresh", 0), ("refresh", 0), ("refresh", 2), ("refresh", 0)])
@example(steps=[("refresh", 0), ("grace passes", None), ("refresh", 0), ("refresh", 1)])
@given(steps=STEPS)
async def test_a_family_follows_the_rule(platform: TestPlatform, open_session: LogIn, steps: Sequence[Step]) -> None:
    tenant = await platform.tenant()
    session = await open_session(tenant)
    family = Family(session.refresh_token)
    for step, back in steps:
        if step == "grace passes":
            await let_grace_pass(platform, session)
            family.in_grace = False
        elif step == "log out":
            await log_out(platform, session)
            family.ended = family.ended or "logout"
        elif step == "a stranger's token":
            with pytest.raises(RefreshTokenInvalid):
                await refresh(platform, tenant, RefreshTokens(platform.runtime.vault).first())
        else:
            index = max(0, len(family.tokens) - 1 - (back or 0))
            expected = family.expected(index)
            if isinstance(expected, str):
                pair = await refresh(platform, tenant, family.tokens[index])
                if expected == "new":
                    assert pair.refresh_token not in family.tokens
                    family.tokens.append(pair.refresh_token)
                    family.in_grace = True
                else:
                    assert pair.refresh_token == family.tokens[-1]
            else:
                with pytest.raises(expected):
                    await refresh(platform, tenant, family.tokens[index])
                family.ended = family.ended or "reuse"
        digests, reason = await stored(platform, session)
        assert digests == [hashlib.sha256(token.encode()).digest() for token in family.tokens]
        assert reason == family.ended


async def test_parallel_refreshes_of_one_token_give_one_child(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    session = await open_session(tenant)
    pairs = await asyncio.gather(*(refresh(platform, tenant, session.refresh_token) for _ in range(30)))
    assert len({pair.refresh_token for pair in pairs}) == 1
    digests, reason = await stored(platform, session)
    assert (len(digests), reason) == (2, None)
    again = await refresh(platform, tenant, pairs[0].refresh_token)
    assert again.refresh_token != pairs[0].refresh_token


async def test_parallel_reuse_ends_the_session_once(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    session = await open_session(tenant)
    child = await refresh(platform, tenant, session.refresh_token)
    await refresh(platform, tenant, child.refresh_token)
    outcomes = await asyncio.gather(
        *(refresh(platform, tenant, session.refresh_token) for _ in range(20)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["RefreshTokenReused"] + ["SessionEnded"] * 19
    async with platform.work(platform.system(tenant)) as work:
        entries = await work.fetch(
            "SELECT after->>'reason' AS reason FROM kernel_audit_entries WHERE object_id = $1", str(session.session_id)
        )
    assert [entry["reason"] for entry in entries] == ["reuse"]


async def test_a_family_is_of_one_tenant(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    session = await open_session(tenant)
    with pytest.raises(RefreshTokenInvalid):
        await refresh(platform, await platform.tenant(), session.refresh_token)
    assert await refresh(platform, tenant, session.refresh_token)


async def test_an_old_token_is_refused_and_does_not_end_the_session(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    session = await open_session(tenant)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_refresh_tokens SET expires_at = now() WHERE session_id = $1", session.session_id
        )
    with pytest.raises(RefreshTokenInvalid):
        await refresh(platform, tenant, session.refresh_token)
    assert (await stored(platform, session))[1] is None


async def test_a_disabled_account_can_not_refresh(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    session = await open_session(tenant)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_accounts SET status = 'disabled' WHERE id = $1", session.account_id)
    with pytest.raises(SessionEnded):
        await refresh(platform, tenant, session.refresh_token)


async def test_each_refresh_extends_the_session(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    session = await open_session(tenant)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_sessions SET expires_at = now() + interval '1 hour' WHERE id = $1", session.session_id
        )
    await refresh(platform, tenant, session.refresh_token)
    async with platform.work(platform.system(tenant)) as work:
        left = await work.fetchval(
            "SELECT extract(epoch FROM expires_at - now())::int FROM kernel_sessions WHERE id = $1", session.session_id
        )
    assert left > platform.config.auth.refresh_ttl - 60


async def test_a_session_gets_no_older_than_allowed_however_often_it_is_refreshed(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    session = await open_session(tenant)
    age = "UPDATE kernel_sessions SET created_at = now() - make_interval(secs => $2) WHERE id = $1"
    max_age = platform.config.auth.session_max_age
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(age, session.session_id, max_age - 3600)
    pair = await refresh(platform, tenant, session.refresh_token)
    assert 3500 < pair.expires_in <= 3600
    async with platform.runtime.database.system_transaction() as connection:
        left = await connection.fetchval(
            "SELECT extract(epoch FROM expires_at - now())::int FROM kernel_sessions WHERE id = $1", session.session_id
        )
        assert 3500 < left <= 3600
        await connection.execute(age, session.session_id, max_age)
    with pytest.raises(SessionEnded):
        await refresh(platform, tenant, pair.refresh_token)


async def test_the_new_token_carries_the_roles_of_now(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    session = await open_session(tenant)
    async with platform.work(platform.system(tenant)) as work:
        await work.execute(
            "INSERT INTO kernel_role_grants (id, tenant_id, account_id, role) VALUES ($1, $2, $3, 'administrator')",
            session.session_id, tenant, session.account_id,
        )  # fmt: skip
    refreshed = await refresh(platform, tenant, session.refresh_token)
    assert refreshed.roles == ["administrator", "member"]


async def test_the_database_alone_allows_one_child(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    session = await open_session(tenant)
    insert = (
        "INSERT INTO kernel_refresh_tokens (id, tenant_id, session_id, parent_id, digest, expires_at)"
        " SELECT gen_random_uuid(), tenant_id, session_id, id, sha256($2::bytea), expires_at"
        " FROM kernel_refresh_tokens WHERE session_id = $1 AND parent_id IS NULL"
    )
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(insert, session.session_id, b"one")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with platform.runtime.database.system_transaction() as connection:
            await connection.execute(insert, session.session_id, b"two")


def test_a_child_follows_from_its_parent_and_the_master_key_only() -> None:
    tokens, others = RefreshTokens(Vault(bytes(32))), RefreshTokens(Vault(bytes([1]) * 32))
    first = tokens.first()
    assert first.startswith("pgr_")
    assert len(first) == len("pgr_") + 43
    assert first != tokens.first()
    assert tokens.child(first) == tokens.child(first) != others.child(first)
    assert len({first, tokens.child(first), tokens.child(tokens.child(first))}) == 3
