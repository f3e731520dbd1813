"""Plugins start in the order of their dependencies, those that have nothing to do with each other at the same time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pegboard.plugins.lifespan import StartupError, plugins_lifespan
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard_sdk.manifest import Manifest

Hook = Callable[[], Awaitable[None]]


async def turns(number: int) -> None:
    """Let everything else that can run do so, so many times."""
    loop = asyncio.get_running_loop()
    for _ in range(number):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn


class Log:
    """What was called, in order. Each call takes several turns of the loop."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: dict[str, asyncio.Task[object] | None] = {}

    def plugin(
        self,
        name: str,
        *,
        requires: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
        error: BaseException | None = None,
        on_startup: Hook | None = None,
    ) -> LoadedPlugin:
        async def up() -> None:
            self.tasks[name] = asyncio.current_task()
            await turns(3)
            self.lines.append(f"{name} up")
            if error is not None:
                raise error

        async def down() -> None:
            assert self.tasks.get(name) in (None, asyncio.current_task())
            await turns(3)
            self.lines.append(f"{name} down")

        manifest = Manifest(
            name=name,
            summary="For tests.",
            version="1.0.0",
            sdk=">=1",
            requires=dict.fromkeys(requires, ">=1"),
            after=dict.fromkeys(after, ">=1"),
        )
        return LoadedPlugin(
            name=name, manifest=manifest, distribution=name, on_startup=on_startup or up, on_shutdown=down
        )


async def live(*plugins: LoadedPlugin, limit: float = 5.0) -> None:
    async with plugins_lifespan(Registry(plugins=plugins), limit):
        pass


async def test_what_hangs_on_another_starts_after_it_and_ends_before_it() -> None:
    log = Log()
    await live(log.plugin("bank"), log.plugin("shop", requires=("bank",)), log.plugin("news", after=("shop", "absent")))

    assert log.lines == ["bank up", "shop up", "news up", "news down", "shop down", "bank down"]


async def test_what_has_nothing_to_do_with_each_other_starts_at_the_same_time() -> None:
    log = Log()
    here, there = asyncio.Event(), asyncio.Event()

    async def meet(mine: asyncio.Event, other: asyncio.Event) -> None:
        mine.set()
        await other.wait()

    await live(
        log.plugin("one", on_startup=lambda: meet(here, there)),
        log.plugin("two", on_startup=lambda: meet(there, here)),
    )


@pytest.mark.parametrize("error", [RuntimeError("no ink"), SystemExit(3), KeyboardInterrupt()])
async def test_whatever_a_start_raises_is_the_plugins_failure_and_nobody_elses(error: BaseException) -> None:
    log = Log()
    with pytest.raises(StartupError) as caught:
        await live(
            log.plugin("well"),
            log.plugin("broken", error=error),
            log.plugin("follower", requires=("broken",)),
            log.plugin("admirer", after=("broken",)),
        )

    assert list(caught.value.failed) == ["broken"]
    assert type(error).__name__ in caught.value.failed["broken"]
    assert sorted(log.lines) == ["admirer down", "admirer up", "broken up", "well down", "well up"]


async def test_all_that_take_too_long_are_named_at_once() -> None:
    log = Log()

    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StartupError) as caught:
        await live(*(log.plugin(f"slow_{number}", on_startup=forever) for number in range(20)), limit=0.05)

    assert set(caught.value.failed.values()) == {"its on_startup failed: it took longer than 0.05 s"}
    assert len(caught.value.failed) == 20


async def test_a_start_that_is_cancelled_ends_what_had_started() -> None:
    log = Log()
    under_way = asyncio.Event()

    async def forever() -> None:
        under_way.set()
        await asyncio.Event().wait()

    start = asyncio.create_task(
        live(log.plugin("well"), log.plugin("slow", requires=("well",), on_startup=forever), limit=60.0)
    )
    await under_way.wait()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    assert log.lines == ["well up", "well down"]


async def test_a_start_that_does_not_heed_its_cancellation_is_left_behind() -> None:
    log = Log()
    go_on = asyncio.Event()

    async def stubborn() -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(StartupError) as caught:
        async with asyncio.timeout(20):
            await live(log.plugin("well"), log.plugin("stubborn", on_startup=stubborn), limit=0.05)
    go_on.set()
    assert list(caught.value.failed) == ["stubborn"]
    assert "goes on though it was cancelled" in caught.value.failed["stubborn"]
    assert log.lines == ["well up", "well down"]
