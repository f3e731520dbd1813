"""Who blocks the event loop is found out, and told once."""

import io
import logging
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest
import structlog
from pegboard.config.model import LogConfig
from pegboard.isolation.watchdog import Watchdog
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import configure_logging

from tests.kernel.isolation.plugins import BANK
from tests.kernel.jobs.waiting import until
from tests.support.platform import TestPlatform


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    """What is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.BytesIO()
    configure_logging(LogConfig(level="info", format="json"), lines=LineBuffer(stream))
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(log: io.BytesIO) -> list[dict[str, object]]:
    found = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    return [one for one in found if str(one["event"]).startswith("loop.")]


async def test_a_plugin_that_sleeps_is_named(platform: TestPlatform, log: io.BytesIO):
    """The shop's route calls the bank's code, which sleeps in the event loop."""
    runtime = platform.runtime
    ada = await platform.account(await platform.tenant())
    watchdog = Watchdog(lambda: runtime.breakers.owners, runtime.metrics, threshold=0.1, limit=60)
    before = runtime.metrics.loop_blocked.labels("bank")._value.get()
    watchdog.start()
    try:
        for _ in range(2):
            assert (await ada.client.get("/api/v1/shop/block")).status_code == 200

        async def both_counted() -> bool:
            return runtime.metrics.loop_blocked.labels("bank")._value.get() - before > 0.6

        await until(both_counted)
        told = [one for one in lines(log) if one["plugin"] == "bank"]
    finally:
        await watchdog.stop()
    assert len(told) <= 2  # this watchdog's one line, and the platform's own
    assert {one["event"] for one in told} == {"loop.blocked"}
    assert {one["where"] for one in told} == {f"{BANK}/service.py:12 ponder"}
    assert all(0.1 < float(str(one["seconds"])) < 5 for one in told)


async def test_an_idle_loop_is_not_blocked_and_no_thread_is_left(platform: TestPlatform, log: io.BytesIO):
    runtime = platform.runtime
    watchdog = Watchdog(lambda: runtime.breakers.owners, runtime.metrics, threshold=0.02, limit=60)
    watchdog.start()
    began = time.monotonic()

    async def a_while() -> bool:
        return time.monotonic() - began > 0.3

    await until(a_while)
    await watchdog.stop()
    assert [one for one in lines(log) if one["plugin"] in ("bank", "shop")] == []
    assert threading.active_count() < 50


async def test_a_process_that_a_plugin_blocks_for_too_long_is_ended(platform: TestPlatform, log: io.BytesIO):
    runtime = platform.runtime
    ada = await platform.account(await platform.tenant())
    ended = threading.Event()
    watchdog = Watchdog(lambda: runtime.breakers.owners, runtime.metrics, threshold=0.05, limit=0.1, end=ended.set)
    watchdog.start()
    try:
        assert (await ada.client.get("/api/v1/shop/block")).status_code == 200
        assert ended.is_set()
    finally:
        await watchdog.stop()
    told = [one for one in lines(log) if one["event"] == "loop.ended"]
    # More than one, as this process was not ended.
    assert {(one["plugin"], one["where"]) for one in told} == {("bank", f"{BANK}/service.py:12 ponder")}
