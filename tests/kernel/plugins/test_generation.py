"""A generation lives in one task, and ends when its last request has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from litestar import Litestar, get
from pegboard.plugins.generation import BuildError, Generation, GenerationHolder, StartupError
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard_sdk.manifest import Manifest

Hook = Callable[[], Awaitable[None]]


def plugin(name: str, *, on_startup: Hook | None = None, on_shutdown: Hook | None = None) -> LoadedPlugin:
    manifest = Manifest(name=name, summary="A plugin.", version="1.0.0", sdk=">=1")
    return LoadedPlugin(name=name, manifest=manifest, distribution=name, on_startup=on_startup, on_shutdown=on_shutdown)


def registry(*plugins: LoadedPlugin) -> Registry:
    return Registry(plugins=plugins)


class Diary:
    """Writes down what happens, and in which task."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: set[Any] = set()

    def hook(self, line: str, *, error: Exception | None = None) -> Hook:
        async def write() -> None:
            self.lines.append(line)
            if error is not None:
                raise error

        return write

    def plugin(self, name: str) -> LoadedPlugin:
        return plugin(name, on_startup=self.hook(f"{name} up"), on_shutdown=self.hook(f"{name} down"))

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        self.tasks.add(asyncio.current_task())
        self.lines.append("app up")
        yield
        self.tasks.add(asyncio.current_task())
        self.lines.append("app down")


def holder(diary: Diary | None = None, **options: Any) -> GenerationHolder[Litestar]:
    def build(_: Registry) -> Litestar:
        return Litestar([read_thing], lifespan=[diary.lifespan] if diary else [], openapi_config=None)

    return GenerationHolder(build, **{"drain_timeout": 5, "close_grace": 0.05, **options})


@get("/thing")
async def read_thing() -> str:
    return "thing"


async def request(generation: Generation[Litestar], app: Any = None) -> int:
    """Ask for the thing as a server would; gives the status."""
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: Any = {
        "type": "http", "method": "GET", "path": "/thing", "raw_path": b"/thing", "query_string": b"",
        "headers": [(b"host", b"test")], "client": ("127.0.0.1", 1), "server": ("test", 80), "scheme": "http",
        "http_version": "1.1", "root_path": "", "state": {}, "extensions": {},
    }  # fmt: skip
    await generation(scope, receive, send)
    return statuses[0]


async def test_one_task_enters_and_exits_everything_in_order() -> None:
    diary = Diary()
    running = holder(diary)
    await running.start(registry(diary.plugin("first"), diary.plugin("second")))
    assert diary.lines == ["first up", "second up", "app up"]
    assert await request(running.current) == 200

    await running.close()
    assert diary.lines[3:] == ["app down", "second down", "first down"]
    assert len(diary.tasks) == 1
    assert asyncio.current_task() not in diary.tasks


async def test_requests_go_to_the_new_one_and_the_old_one_waits_for_its_own() -> None:
    diary = Diary()
    running = holder()
    old = await running.start(registry(diary.plugin("old")))
    old.acquire()
    running.activate(await running.prepare(registry(diary.plugin("new"))))

    assert running.current is not old
    await asyncio.sleep(0)
    assert diary.lines == ["old up", "new up"]
    old.release()
    await running.close()
    assert diary.lines.index("old down") > diary.lines.index("new up")
    assert old.leases == 0


async def test_a_stream_that_does_not_end_is_told_and_then_cut_off() -> None:
    told, cut = asyncio.Event(), asyncio.Event()
    began = asyncio.Event()

    @get("/thing")
    async def read_stream() -> str:
        began.set()
        await old.closing.wait()
        told.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        return ""

    running: GenerationHolder[Litestar] = GenerationHolder(
        lambda _: Litestar([read_stream], openapi_config=None), drain_timeout=0.05, close_grace=0.05
    )
    old = await running.start(registry())
    stream = asyncio.create_task(request(old))
    await began.wait()
    running.activate(await running.prepare(registry()))

    with pytest.raises(asyncio.CancelledError):
        await stream
    assert told.is_set()
    assert cut.is_set()
    await running.close()


async def test_a_plugin_that_does_not_start_ends_those_that_did() -> None:
    diary = Diary()
    running = holder(diary)
    broken = plugin("broken", on_startup=diary.hook("broken up", error=RuntimeError("no ink")))

    with pytest.raises(StartupError, match="broken: its on_startup failed: RuntimeError: no ink"):
        await running.start(registry(diary.plugin("first"), broken, diary.plugin("last")))
    assert diary.lines == ["first up", "broken up", "last up", "last down", "first down"]


async def test_a_plugin_that_takes_too_long_to_start_is_named() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    running = holder(startup_timeout=0.05)
    with pytest.raises(StartupError, match="slow: its on_startup failed: it took longer than"):
        await running.start(registry(plugin("slow", on_startup=forever)))


async def test_one_that_fails_to_stop_does_not_keep_the_others_from_it() -> None:
    diary = Diary()
    running = holder()
    sulking = plugin("sulking", on_shutdown=diary.hook("sulking down", error=RuntimeError("no")))
    await running.start(registry(diary.plugin("first"), sulking))

    await running.close()
    assert diary.lines == ["first up", "sulking down", "first down"]


async def test_who_breaks_the_build_is_found_and_left_out() -> None:
    def build(plugins: Registry) -> Litestar:
        if any(one.name.startswith("bad") for one in plugins.plugins):
            raise ValueError("two routes at one path")
        return Litestar([], openapi_config=None)

    told: dict[str, str] = {}

    def without(failed: Mapping[str, str]) -> Registry:
        told.update(failed)
        return registry(*(one for one in everything if one.name not in failed))

    everything = [plugin("kernel"), plugin("good"), plugin("bad_one"), plugin("bad_two")]
    running: GenerationHolder[Litestar] = GenerationHolder(build)
    with pytest.raises(BuildError) as caught:
        await running.prepare(registry(*everything))
    assert set(caught.value.failed) == {"bad_one", "bad_two"}

    await running.start(registry(*everything), without=without)
    assert [one.name for one in running.current.registry.plugins] == ["kernel", "good"]
    assert told["bad_one"] == "its routes can't be built: ValueError: two routes at one path"
    await running.close()


async def test_a_fault_that_is_no_plugins_is_not_retried() -> None:
    def build(_: Registry) -> Litestar:
        raise ValueError("the kernel is broken")

    with pytest.raises(BuildError, match="ValueError: the kernel is broken"):
        await GenerationHolder(build).start(registry(plugin("kernel")), without=lambda _: registry())


async def test_a_prepared_generation_that_is_not_wanted_is_closed() -> None:
    diary = Diary()
    running = holder(diary)
    current = await running.start(registry())
    unwanted = await running.prepare(registry(diary.plugin("unwanted")))
    await running.discard(unwanted)

    assert running.current is current
    assert diary.lines == ["app up", "unwanted up", "app up", "app down", "unwanted down"]
    await running.close()


async def test_a_start_that_is_cancelled_leaves_nothing_running() -> None:
    diary = Diary()
    reached, goes_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        reached.set()
        await goes_on.wait()

    running = holder()
    start = asyncio.create_task(running.start(registry(diary.plugin("first"), plugin("slow", on_startup=slow))))
    await reached.wait()
    start.cancel()
    goes_on.set()

    with pytest.raises(asyncio.CancelledError):
        await start
    assert diary.lines == ["first up", "first down"]


async def test_without_a_generation_there_is_no_current_one() -> None:
    with pytest.raises(RuntimeError, match="no generation is running yet"):
        _ = holder().current
