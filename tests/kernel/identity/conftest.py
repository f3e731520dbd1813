"""Accounts and sessions without HTTP, and a second process for what the first must tell it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
from pegboard.config.model import Config
from pegboard.identity.accounts import AccountService
from pegboard.identity.sessions import OpenSession, SessionService
from pegboard.runtime import Runtime
from pegboard.work import SteppedWork
from pegboard_sdk.ids import new_id

from tests.support.platform import TestPlatform

LogIn = Callable[[UUID], Awaitable[OpenSession]]


@pytest.fixture
async def runtime(platform: TestPlatform, config: Config) -> AsyncIterator[Runtime]:
    """Another process of the same installation. It follows nothing until it is started or asks."""
    opened = await Runtime.open(config, pool_size=2)
    opened.registry = platform.registry
    await opened.authenticator.keys.load()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def open_session(platform: TestPlatform) -> LogIn:
    """Makes an account in a tenant and opens a session for it."""

    async def open_one(tenant: UUID) -> OpenSession:
        async with platform.work(platform.system(tenant)) as work:
            account = await AccountService(platform.runtime).create(
                work, email=f"{new_id().hex}@example.com", password_hash=None, display_name="Ada"
            )
            return await SessionService(platform.runtime).open(work, account.id)

    return open_one


def stepped(platform: TestPlatform, tenant: UUID) -> SteppedWork:
    """What a route that is open to everybody gets."""
    anonymous = platform.runtime.authenticator.anonymous(tenant, platform.registry)
    return SteppedWork(platform.runtime, platform.registry, anonymous, new_id().hex)
