"""Who blocks the event loop is found out, and told once."""

import asyncio
import contextlib
import io
import logging
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import structlog
import uvloop
from pegboard.config.model import LogConfig
from pegboard.isolation.watchdog import Watchdog
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import configure_logging
from pegboard.telemetry.metrics import Metrics

from tests.kernel.isolation.plugins import BANK, Behaviour
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


def wait_for_program(seconds: float) -> None:
    subprocess.run([sys.executable, "-c", f"import time; time.sleep({seconds})"], check=True, capture_output=True)


def wait_for_shell(seconds: float) -> None:
    os.system(f"sleep {seconds}")


def wait_for_socket(seconds: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, contextlib.suppress(TimeoutError):
        ours.settimeout(seconds)
        ours.recv(1)


def wait_for_selector(seconds: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, selectors.DefaultSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        selector.select(seconds)


def wait_for_lock(seconds: float) -> None:
    threading.Event().wait(seconds)


@pytest.mark.parametrize("wait", [wait_for_program, wait_for_shell, wait_for_socket, wait_for_selector, wait_for_lock])
async def test_a_plugin_that_waits_for_something_in_the_loop_is_named(
    platform: TestPlatform, behaviour: Behaviour, log: io.BytesIO, wait: Callable[[float], None]
):
    runtime = platform.runtime
    behaviour.wait = wait
    ada = await platform.account(await platform.tenant())
    watchdog = Watchdog(lambda: runtime.breakers.owners, runtime.metrics, threshold=0.1, limit=60)
    watchdog.start()
    try:
        assert (await ada.client.get("/api/v1/shop/block")).status_code == 200

        async def told() -> bool:
            # It is the shop's function, which the bank calls.
            return any(one["plugin"] == "shop" and wait.__name__ in str(one["where"]) for one in lines(log))

        await until(told)
    finally:
        await watchdog.stop()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_loops_of_either_kind_are_known_when_they_wait(run: Callable[..., Any]):
    """Of the samples that are taken of a waiting loop's thread, none is taken for a block."""
    metrics = Metrics()
    watchdog = Watchdog(lambda: pytest.fail("it was idle"), metrics, threshold=60, limit=60)
    thread = threading.get_ident()

    async def idle() -> None:
        watchdog.start()
        await asyncio.sleep(0)
        sampled = asyncio.get_running_loop().run_in_executor(None, sample)
        found = await sampled
        assert all(found), "a waiting loop was not known"
        await watchdog.stop()

    def sample() -> list[bool]:
        settled = time.monotonic() + 0.2
        while time.monotonic() < settled:
            pass  # until the loop waits for this thread and for nothing else
        frames = (sys._current_frames()[thread] for _ in range(200))
        return [watchdog._waits(frame) for frame in frames]

    run(idle())


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
