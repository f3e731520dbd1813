"""A health check is answered for whatever it does, and costs nobody but its plugin."""

import asyncio
import time

import msgspec
from pegboard.plugins.asking import ask
from pegboard.web.health import check_plugins
from pegboard_sdk.health import HealthCheck

from tests.support.platform import TestPlatform


async def well() -> str | None:
    return None


async def blocking() -> str | None:
    ends = time.monotonic() + 0.2
    while time.monotonic() < ends:
        pass
    return None


async def test_one_that_blocks_the_event_loop_is_late_itself() -> None:
    assert await ask(HealthCheck(name="block", check=blocking, timeout=0.05)) == "it took longer than 0.05 s"
    assert await ask(HealthCheck(name="block", check=blocking, timeout=5)) is None


async def test_one_that_does_not_heed_its_cancellation_is_left_behind() -> None:
    go_on = asyncio.Event()

    async def stubborn() -> str | None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        return None

    async with asyncio.timeout(10):
        assert await ask(HealthCheck(name="stubborn", check=stubborn, timeout=0.05)) == "it took longer than 0.05 s"
    go_on.set()


async def test_what_it_raises_is_what_is_wrong() -> None:
    async def leaving() -> str | None:
        raise SystemExit(3)

    assert await ask(HealthCheck(name="leave", check=leaving)) == "SystemExit: 3"


async def test_in_turn_nobody_is_late_for_another(platform: TestPlatform) -> None:
    runtime = platform.runtime
    registry = runtime.registry

    async def turning() -> str | None:
        await asyncio.to_thread(int)
        return None

    checks = {"creation_studio": turning, "finance": blocking}
    changed = tuple(
        msgspec.structs.replace(
            plugin, health_checks=[HealthCheck(name="one", check=checks.get(plugin.name, well), timeout=0.1)]
        )
        for plugin in registry.plugins
    )
    runtime.registry = msgspec.structs.replace(registry, plugins=changed)
    try:
        found = await check_plugins(runtime, in_turn=True)
    finally:
        runtime.registry = registry
    assert {plugin.plugin for plugin in found if not plugin.ok} == {"finance"}
