"""Verified tokens are remembered, for as long as they stand and no longer."""

import asyncio
import time
from uuid import UUID

import jwt
import msgspec
import pytest
from pegboard.identity import authenticator as module
from pegboard.identity.errors import SessionEnded
from pegboard.identity.sessions import OpenSession, SessionService
from pegboard.identity.tokens import TokenInvalid
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard_sdk.errors import Unavailable

from tests.kernel.identity.conftest import LogIn
from tests.support.platform import TestPlatform

READS = Registry(role_permissions={"member": frozenset({"a:b.read"}), "anonymous": frozenset({"a:public.read"})})
WRITES = Registry(role_permissions={"member": frozenset({"a:b.write"})})


def token_of(platform: TestPlatform, session: OpenSession) -> str:
    return SessionService(platform.runtime).issue(session).access_token


async def revoke(platform: TestPlatform, session: OpenSession) -> None:
    async with platform.work(platform.system(session.tenant_id)) as work:
        await SessionService(platform.runtime).revoke(work, "logout", session_id=session.session_id)


async def test_a_token_is_verified_once(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    authenticator = platform.runtime.authenticator
    session = await open_session(tenant)
    token = token_of(platform, session)
    assert authenticator.cached(token, READS) is None
    principal = await authenticator.principal(token, READS)
    assert authenticator.cached(token, READS) is principal
    assert principal.kind == "account"
    assert (principal.account_id, principal.tenant_id) == (session.account_id, tenant)
    assert (principal.session_id, principal.roles) == (session.session_id, frozenset({"member"}))


async def test_who_logs_in_keeps_what_everybody_may_do(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    authenticator = platform.runtime.authenticator
    principal = await authenticator.principal(token_of(platform, await open_session(tenant)), READS)
    assert principal.permissions == {"a:b.read", "a:public.read"}
    anonymous = authenticator.anonymous(tenant, READS)
    assert (anonymous.kind, anonymous.tenant_id, anonymous.account_id) == ("anonymous", tenant, None)
    assert anonymous.permissions == {"a:public.read"}


async def test_each_generation_grants_its_own(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    authenticator = platform.runtime.authenticator
    token = token_of(platform, await open_session(tenant))
    await authenticator.principal(token, READS)
    for registry, permission in ((READS, "a:b.read"), (WRITES, "a:b.write"), (READS, "a:b.read")):
        principal = authenticator.cached(token, registry)
        assert principal is not None
        assert permission in principal.permissions
        assert len(principal.permissions & {"a:b.read", "a:b.write"}) == 1


async def test_an_expired_token_is_forgotten(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    authenticator, session = platform.runtime.authenticator, await open_session(tenant)
    key = authenticator.keys.signing
    claims = jwt.decode(token_of(platform, session), options={"verify_signature": False})
    claims["exp"] = int(time.time()) + 1
    token = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid, "typ": "at+jwt"})
    assert await authenticator.principal(token, READS)
    async with asyncio.timeout(3):
        while authenticator.cached(token, READS) is not None:  # noqa: ASYNC110  # what is awaited is the clock
            await asyncio.sleep(0.01)
    assert time.time() >= claims["exp"]
    with pytest.raises(TokenInvalid):
        await authenticator.principal(token, READS)


async def test_only_so_many_tokens_are_remembered(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_TOKENS", 3)
    authenticator, session = platform.runtime.authenticator, await open_session(tenant)
    tokens = [token_of(platform, session) for _ in range(5)]
    for token in tokens:
        await authenticator.principal(token, READS)
    known = [authenticator.cached(token, READS) is not None for token in tokens]
    assert known == [False, False, True, True, True]
    assert await authenticator.principal(tokens[0], READS)


async def test_the_raw_token_is_not_kept(platform: TestPlatform, tenant: UUID, open_session: LogIn) -> None:
    authenticator = platform.runtime.authenticator
    token = token_of(platform, await open_session(tenant))
    await authenticator.principal(token, READS)
    kept = b"".join(digest + msgspec.json.encode(known.access) for digest, known in authenticator._known.items())
    assert token.rpartition(".")[2].encode() not in kept


async def test_a_revoked_session_is_refused_at_once_where_it_was_revoked(
    platform: TestPlatform, tenant: UUID, open_session: LogIn
) -> None:
    authenticator, session = platform.runtime.authenticator, await open_session(tenant)
    known, unknown = token_of(platform, session), token_of(platform, session)
    await authenticator.principal(known, READS)
    await revoke(platform, session)
    for token in (known, unknown):
        assert authenticator.cached(token, READS) is None
        with pytest.raises(SessionEnded):
            await authenticator.principal(token, READS)


async def test_a_revoked_session_is_refused_elsewhere_within_a_second(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, runtime: Runtime
) -> None:
    await runtime.authenticator.start()
    session = await open_session(tenant)
    token = token_of(platform, session)
    await runtime.authenticator.principal(token, READS)
    await revoke(platform, session)
    revoked_at = time.monotonic()
    refused = False
    while not refused:
        asked_at = time.monotonic()
        try:
            # Just as the gate does it.
            principal = runtime.authenticator.cached(token, READS)
            if principal is None:
                await runtime.authenticator.principal(token, READS)
            assert asked_at - revoked_at <= module.MAX_AGE
        except SessionEnded:
            refused = True
        await asyncio.sleep(0.005)


async def test_a_stale_feed_asks_postgresql(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, runtime: Runtime
) -> None:
    authenticator, session = runtime.authenticator, await open_session(tenant)
    token = token_of(platform, session)
    assert await authenticator.principal(token, READS)  # nothing follows the feed: it asked
    assert authenticator.cached(token, READS) is not None
    authenticator.revocations.as_of -= module.MAX_AGE
    assert authenticator.cached(token, READS) is None
    assert await authenticator.principal(token, READS)
    await revoke(platform, session)
    authenticator.revocations.as_of -= module.MAX_AGE
    with pytest.raises(SessionEnded):
        await authenticator.principal(token, READS)


async def test_nobody_is_let_in_while_postgresql_does_not_answer(
    platform: TestPlatform, tenant: UUID, open_session: LogIn, runtime: Runtime
) -> None:
    authenticator = runtime.authenticator
    token = token_of(platform, await open_session(tenant))
    assert await authenticator.principal(token, READS)
    await runtime.database.system.close()
    authenticator.revocations.as_of -= module.MAX_AGE
    assert authenticator.cached(token, READS) is None
    with pytest.raises(Unavailable):
        await authenticator.principal(token, READS)
