"""A platform in an event loop of its own: a state machine's steps aren't coroutines."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
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
        # Between steps the loop stands still; the watchdog must not take that for a process that hangs.
        isolation = msgspec.structs.replace(config.isolation, loop_ended_after=3_600.0)
        self.platform = TestPlatform(msgspec.structs.replace(config, isolation=isolation))
        self.run(self.platform.start())

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(step)

    def close(self) -> None:
        self.run(self.platform.stop())
        self._runner.close()
