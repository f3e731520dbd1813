"""A platform with two plugins that fail as they are told to, and a clock that stands still unless moved."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pegboard.config.model import IsolationConfig
from pegboard.isolation.breakers import Breakers
from pegboard.plugins.compile import compile_registry
from pegboard_sdk.ids import new_id

from tests.kernel.isolation.plugins import Behaviour, Clock, bank, shop
from tests.kernel.jobs.conftest import home, jobs_config, lab, session_lab
from tests.support.platform import TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config

__all__ = ("home", "jobs_config", "lab", "session_lab")
SETTINGS = IsolationConfig(window=30, minimum_calls=4, open_seconds=10, max_open_seconds=40, probes=2)


@pytest.fixture(scope="module")
def behaviour() -> Behaviour:
    """What the routes do."""
    return Behaviour()


@pytest.fixture(scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> AsyncIterator[TestPlatform]:
    """A platform of this module's own, on a database where no other process is."""
    url = await create_database(postgres_url, f"isolation_{new_id().hex}", template=TEMPLATE)
    made = make_config(tmp_path_factory.mktemp("isolation"), url, redis_url, plugins=())
    platform = TestPlatform(msgspec.structs.replace(made, isolation=SETTINGS))
    await platform.start()
    yield platform
    await platform.stop()


@pytest.fixture
def clock() -> Clock:
    """The breakers'."""
    return Clock()


@pytest.fixture
async def platform(running: TestPlatform, behaviour: Behaviour, clock: Clock, tmp_path: Path) -> TestPlatform:
    """The platform with the plugins `shop` and `bank`, and breakers that nothing has happened to."""
    runtime = running.runtime
    runtime.breakers = Breakers(SETTINGS, runtime.metrics, clock=clock)
    behaviour.forget()
    await swap(running, bank(behaviour), shop(behaviour))
    return running


async def swap(platform: TestPlatform, *plugins: Any) -> None:
    """Have just these plugins on."""
    holder = platform.app.platform.holder
    registry = compile_registry([platform.registry.plugins[0], *plugins], [])
    holder.activate(await holder.prepare(registry))
