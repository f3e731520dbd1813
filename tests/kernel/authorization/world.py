"""A platform in an event loop of its own: a state machine's steps aren't coroutines."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from pegboard.config.model import Config

from tests.support.platform import TestPlatform

__all__ = ("SETTINGS", "World")

T = TypeVar("T")

SETTINGS = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class World:
    """Started when it is made; close it."""

    def __init__(self, config: Config) -> None:
        self._runner = asyncio.Runner()
        self.platform = TestPlatform(config)
        self.run(self.platform.start())

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(step)

    def close(self) -> None:
        self.run(self.platform.stop())
        self._runner.close()
