"""Fixtures of the job tests: a database of their own, where nobody else's jobs are."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from pegboard.config.model import Config
from pegboard_sdk.ids import new_id

from tests.kernel.jobs.lab import EFFECTS, Lab
from tests.support.servers import TEMPLATE, create_database, make_config

REDIS_DATABASES = 8
"""The job tests' databases of the test Valkey begin here."""


@pytest.fixture(scope="session")
async def jobs_config(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> Config:
    """A configuration for a migrated database and a Redis that only these tests use."""
    url = await create_database(postgres_url, f"pegboard_jobs_{new_id().hex}", template=TEMPLATE)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET ROLE pegboard_owner")
        for statement in EFFECTS:
            await connection.execute(statement)
    finally:
        await connection.close()
    base, _, number = redis_url.rpartition("?db=")
    folder = tmp_path_factory.mktemp("jobs")
    return make_config(folder, url, f"{base}?db={REDIS_DATABASES + int(number)}")


@pytest.fixture(scope="session")
async def session_lab(jobs_config: Config) -> AsyncIterator[Lab]:
    """One lab for all."""
    async with Lab.open(jobs_config) as lab:
        yield lab


@pytest.fixture
async def lab(session_lab: Lab) -> Lab:
    """The lab without the jobs of other tests."""
    await session_lab.pool.execute("DELETE FROM kernel_jobs")
    await session_lab.pool.execute("DELETE FROM kernel_events")
    await session_lab.pool.execute("DELETE FROM kernel_schedules")
    await session_lab.pool.execute("DELETE FROM kernel_leases")
    await session_lab.runtime.redis.flushdb()
    # What an earlier test's commits are still to tell is told now, not in the middle of this one.
    await session_lab.runtime.notifier.close()
    return session_lab


@pytest.fixture
async def home(lab: Lab) -> UUID:
    """A fresh tenant of the lab."""
    return await lab.tenant()
