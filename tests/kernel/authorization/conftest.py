"""A second process of the same installation."""

from collections.abc import AsyncIterator

import pytest
from pegboard.config.model import Config
from pegboard.runtime import Runtime

from tests.support.platform import TestPlatform


@pytest.fixture
async def other_process(platform: TestPlatform, config: Config) -> AsyncIterator[Runtime]:
    """It follows nothing until it is started or asks."""
    opened = await Runtime.open(config, pool_size=2)
    opened.registry = platform.registry
    yield opened
    await opened.close()
