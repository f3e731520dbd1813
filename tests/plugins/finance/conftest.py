"""Connections that go around the services."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest


@pytest.fixture
async def as_role(database_url: str, tenant: UUID) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection in the test's tenant: `SET ROLE` makes it somebody else."""
    connection = await asyncpg.connect(database_url, server_settings={"application_name": f"pegboard:{tenant}"})
    yield connection
    await connection.close()
