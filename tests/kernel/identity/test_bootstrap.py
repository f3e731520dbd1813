"""The first administrator of an installation."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pegboard.config.model import AdministratorConfig, Config
from pegboard.database.pool import Database
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.bootstrap import BootstrapError, Credentials, ensure_administrator, has_administrator
from pegboard.identity.log_in import LogInService
from pegboard.identity.sessions import OpenSession
from pegboard.runtime import Runtime
from pegboard.work import SteppedWork
from pegboard_sdk.settings import Secret

from tests.support.servers import TEMPLATE, create_database, make_config


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
async def fresh(postgres_url: str, redis_url: str, worker_name: str, numbers: Iterator[int], tmp_path: Path) -> Config:
    """An installation on a migrated database in which nobody has an account."""
    url = await create_database(postgres_url, f"pegboard_fresh_{worker_name}_{next(numbers)}", template=TEMPLATE)
    return make_config(tmp_path, url, redis_url)


def configured(config: Config, email: str, password: str) -> Config:
    return msgspec.structs.replace(config, administrator=AdministratorConfig(email=email, password=Secret(password)))


async def ensure(config: Config, *, processes: int = 1) -> list[Credentials]:
    """What each of several processes that start together gets, without those that get nothing."""
    runtimes = [await Runtime.open(config, pool_size=1) for _ in range(processes)]
    try:
        made = await asyncio.gather(*(ensure_administrator(runtime) for runtime in runtimes))
    finally:
        for runtime in runtimes:
            await runtime.close()
    return [credentials for credentials in made if credentials is not None]


async def roles_after_log_in(config: Config, credentials: Credentials) -> list[str]:
    runtime = await Runtime.open(config, pool_size=2)
    try:
        await runtime.authenticator.keys.load()
        anonymous = runtime.authenticator.anonymous(DEFAULT_TENANT, runtime.registry)
        work = SteppedWork(runtime, runtime.registry, anonymous, "test")
        session = await LogInService(runtime).log_in(
            work, email=credentials.email, password=credentials.password.reveal()
        )
        assert isinstance(session, OpenSession)
        return session.roles
    finally:
        await runtime.close()


async def test_processes_that_start_together_make_one(fresh: Config) -> None:
    (credentials,) = await ensure(fresh, processes=3)
    assert credentials.generated
    assert credentials.email == fresh.administrator.email
    assert "password='" not in repr(credentials)
    assert await roles_after_log_in(fresh, credentials) == ["administrator", "member", "operator"]
    assert await ensure(fresh) == []
    assert await ensure(configured(fresh, "other@example.com", "another good password")) == []


async def test_whether_there_is_one_is_known_without_making_it(fresh: Config) -> None:
    database = await Database.open(fresh, pool_size=1)
    try:
        assert not await has_administrator(database)
        await ensure(fresh)
        assert await has_administrator(database)
    finally:
        await database.close()


async def test_the_configured_one_is_made_as_configured(fresh: Config) -> None:
    config = configured(fresh, "boss@example.com", "a password of one's own")
    (credentials,) = await ensure(config)
    assert (credentials.email, credentials.generated) == ("boss@example.com", False)
    assert await roles_after_log_in(config, credentials) == ["administrator", "member", "operator"]


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [("not an address", "", "not an e-mail address"), ("admin@example.com", "short", "at least 12 characters")],
)
async def test_what_is_wrong_with_the_configured_one(fresh: Config, email: str, password: str, reason: str) -> None:
    with pytest.raises(BootstrapError, match=reason) as caught:
        await ensure(configured(fresh, email, password))
    assert not password or password not in str(caught.value)
