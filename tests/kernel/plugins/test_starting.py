"""A start that ends or blocks its process has one owner: who is suspected starts alone, and who blocks is named."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from pegboard.plugins.lifespan import StartupError, plugins_lifespan
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.plugins.start_marks import StartMarks
from pegboard.plugins.starting import StartWatch
from pegboard_sdk.manifest import Manifest

from tests.kernel.plugins.test_start_marks import crash

HERE = str(Path(__file__).parent)


def plugin(name: str, on_startup: Callable[[], Awaitable[None]], *, folder: str = HERE) -> LoadedPlugin:
    manifest = Manifest(name=name, summary="For tests.", version="1.0.0", sdk=">=1")
    return LoadedPlugin(name=name, manifest=manifest, distribution=name, folder=folder, on_startup=on_startup)


async def start(var: Path, *plugins: LoadedPlugin) -> None:
    async with plugins_lifespan(Registry(plugins=plugins), 5.0, StartMarks(var)):
        pass


async def test_who_was_starting_when_a_process_ended_starts_alone(tmp_path: Path) -> None:
    crash(tmp_path, "first", "second", cause="startup")
    starting: set[str] = set()
    together: set[frozenset[str]] = set()

    def up(name: str) -> Callable[[], Awaitable[None]]:
        async def on_startup() -> None:
            starting.add(name)
            for _ in range(3):
                await asyncio.sleep(0)
                together.add(frozenset(starting))
            starting.remove(name)

        return on_startup

    await start(tmp_path, *(plugin(name, up(name)) for name in ("first", "well", "second", "fine")))

    assert together == {frozenset({"first"}), frozenset({"second"}), frozenset({"well", "fine"})} | (
        together & {frozenset({"well"}), frozenset({"fine"})}
    )
    assert StartMarks(tmp_path).strikes() == {}


async def test_who_blocks_the_event_loop_is_known_with_the_place_and_the_process_ends(tmp_path: Path) -> None:
    marks, ended = StartMarks(tmp_path), threading.Event()

    async def block() -> None:
        assert ended.wait(20)

    registry = Registry(plugins=(plugin("blocking", block), plugin("well", block, folder="/elsewhere")))
    with StartWatch(registry, marks, 0.3, end=ended.set):
        await block()

    (name,), (failure,) = marks.crashed().keys(), marks.crashed().values()
    assert (name, failure.cause, failure.version) == ("blocking", "startup", "1.0.0")
    told = "its on_startup failed: it blocked the event loop for more than 0.3 s"
    assert failure.reason == f"{told} ({__file__}:{block.__code__.co_firstlineno + 1})"


async def test_a_loop_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    marks, ended = StartMarks(tmp_path), threading.Event()
    with StartWatch(Registry(), marks, 0.2, end=ended.set):
        await asyncio.to_thread(ended.wait, 0.6)

    assert not ended.is_set()
    assert marks.crashed() == {}


async def test_what_a_start_raises_is_told_with_its_place(tmp_path: Path) -> None:
    async def broken() -> None:
        raise RuntimeError("no ink")

    async def slow() -> None:
        await asyncio.Event().wait()

    async def failures() -> dict[str, str]:
        try:
            async with plugins_lifespan(
                Registry(plugins=(plugin("broken", broken), plugin("slow", slow))), 0.1, StartMarks(tmp_path)
            ):
                return {}
        except StartupError as error:
            return error.failed

    found = await failures()

    line = broken.__code__.co_firstlineno + 1
    assert found["broken"] == f"its on_startup failed: RuntimeError: no ink ({__file__}:{line})"
    line = slow.__code__.co_firstlineno + 1
    assert found["slow"] == f"its on_startup failed: it took longer than 0.1 s ({__file__}:{line})"
    assert StartMarks(tmp_path).strikes() == {}
