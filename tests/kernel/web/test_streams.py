"""Answers in pieces end with their iterator, their receiver or their generation; whatever ends them closes them."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec
import pytest
import structlog
from litestar import Controller
from pegboard.config.model import Config, LogConfig
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import configure_logging
from pegboard.web import platform as web_platform
from pegboard.web import streams
from pegboard_sdk.errors import Conflict
from pegboard_sdk.http import Stream, get, post
from pegboard_sdk.work import UnitOfWork

from tests.support.asgi import Receiver
from tests.support.platform import TestPlatform
from tests.support.servers import make_config

SECRET = "the password is swordfish"
Sources = dict[str, Callable[[UnitOfWork], AsyncIterator[bytes]]]


class Source:
    """An iterator that gives what it is told and then waits, and knows who closed it."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.given = 0
        self.tasks: set[asyncio.Task[object] | None] = set()
        self.closed = asyncio.Event()

    async def __call__(self, _: UnitOfWork) -> AsyncIterator[bytes]:
        self.tasks.add(asyncio.current_task())
        try:
            async with asyncio.timeout(60):  # may only be left by the task that entered it
                for piece in self.pieces:
                    self.given += 1
                    yield piece
                if self.error is not None:
                    raise self.error
                await asyncio.Event().wait()
        finally:
            self.tasks.add(asyncio.current_task())
            self.closed.set()


@pytest.fixture(scope="module")
def sources() -> Sources:
    """What the routes stream, by name."""
    return {}


@pytest.fixture(scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory, config: Config, sources: Sources
) -> AsyncIterator[TestPlatform]:
    """A platform with a plugin that streams, and with little time for what is retired."""
    patch = pytest.MonkeyPatch()
    patch.setattr(web_platform, "DRAIN_TIMEOUT", 0.05)
    folder = tmp_path_factory.mktemp("streams")
    running = TestPlatform(make_config(folder, config.database.url.reveal(), config.redis.url.reveal()))
    await running.start()
    await swap(running, with_streams(running.registry, sources))
    yield running
    await running.stop()
    patch.undo()


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


def with_streams(registry: Registry, sources: Sources) -> Registry:
    class Streams(Controller):
        path = "/"

        @get("/events/{name:str}", public=True, media_type="text/event-stream")
        async def read_events(self, name: str, uow: UnitOfWork) -> Stream:
            """Events."""
            return Stream(sources[name](uow), media_type="text/event-stream")

        @get("/plain/{name:str}", public=True, media_type="text/plain")
        async def read_plain(self, name: str, uow: UnitOfWork) -> Stream:
            """Text."""
            return Stream(sources[name](uow), media_type="text/plain")

        @post("/written/{name:str}", public=True, media_type="text/event-stream")
        async def write_events(self, name: str, uow: UnitOfWork) -> Stream:
            """Events, of a route that may write."""
            return Stream(sources[name](uow), media_type="text/event-stream", status_code=201)

    manifest = msgspec.structs.replace(registry.plugins[-1].manifest, name="streams")
    plugin = LoadedPlugin(name="streams", manifest=manifest, distribution="tests", controllers=(Streams,))
    return compile_registry([*registry.plugins, plugin], registry.skipped)


async def swap(platform: TestPlatform, registry: Registry) -> None:
    holder = platform.app.platform.holder
    holder.activate(await holder.prepare(registry))


def receive(
    platform: TestPlatform, name: str, *, kind: str = "events", method: str = "GET", read: bool = True
) -> Receiver:
    return Receiver(platform.app, f"/api/v1/streams/{kind}/{name}", method=method, read=read)


async def within(event: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await event.wait()


async def test_when_its_generation_is_retired_it_ends_with_a_hint(running: TestPlatform, sources: Sources):
    source = sources["open"] = Source(b"data: 1\n\n")
    async with receive(running, "open") as answer:
        assert await answer.piece() == b"data: 1\n\n"
        await swap(running, running.registry)
        async with receive(running, "open") as other:
            assert await other.piece() == b"data: 1\n\n", "new requests go to the next generation at once"
        async with asyncio.timeout(10):
            last = await answer.rest()
    assert last.startswith(b"retry: 1000\n\nevent: closing\ndata: ")
    assert last.endswith(b"\n\n")
    assert answer.whole
    assert source.closed.is_set()


async def test_what_cannot_carry_a_hint_is_cut(running: TestPlatform, sources: Sources):
    """A shorter text would look like the whole; a broken connection does not."""
    source = sources["text"] = Source(b"once upon a time")
    async with receive(running, "text", kind="plain") as answer:
        assert await answer.piece() == b"once upon a time"
        await swap(running, running.registry)
        async with asyncio.timeout(10):
            assert await answer.rest() == b""
    assert not answer.whole
    assert source.closed.is_set()


async def test_when_the_process_ends_it_ends_too(running: TestPlatform, sources: Sources):
    sources["leaving"] = Source(b"data: 1\n\n")
    for at_once in (True, False):
        async with receive(running, "leaving") as answer:
            assert await answer.piece()
            running.app.platform.leave(at_once)
            async with asyncio.timeout(10):
                assert b"event: closing" in await answer.rest()
        await swap(running, running.registry)


async def test_one_task_reads_it_from_start_to_end(running: TestPlatform, sources: Sources):
    source = sources["hung up"] = Source(b"data: 1\n\n", b"data: 2\n\n")
    async with receive(running, "hung up") as answer:
        assert await answer.piece()
        answer.hang_up()
        await answer.finished()
        assert source.closed.is_set(), "it is closed before the request ends"
    assert len(source.tasks) == 1
    assert not answer.whole


@pytest.mark.parametrize("kind", ["events", "plain"])
async def test_what_fails_before_the_first_piece_is_a_problem(
    running: TestPlatform, sources: Sources, log: io.BytesIO, kind: str
):
    sources["early"] = Source(error=RuntimeError(SECRET))
    async with receive(running, "early", kind=kind) as answer:
        assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
        problem = msgspec.json.decode(await answer.rest())
    assert problem["code"] == "internal_error"
    assert SECRET not in str(problem)
    assert SECRET in log.getvalue().decode()
    assert problem["request_id"] in log.getvalue().decode()


async def test_what_fails_amid_events_is_an_event(running: TestPlatform, sources: Sources, log: io.BytesIO):
    sources["amid"] = Source(b"data: 1\n\n", error=RuntimeError(SECRET))
    async with receive(running, "amid") as answer:
        assert answer.status == 200
        first, last = await answer.piece(), await answer.rest()
    assert first == b"data: 1\n\n"
    name, data = last.decode().removesuffix("\n\n").split("\n")
    assert name == "event: error"
    problem = msgspec.json.decode(data.removeprefix("data: "))
    assert (problem["code"], problem["request_id"]) == ("internal_error", answer.headers["x-request-id"])
    assert SECRET not in last.decode()
    assert "Traceback" not in last.decode()
    assert SECRET in log.getvalue().decode()
    assert answer.whole


async def test_what_fails_amid_anything_else_is_cut(running: TestPlatform, sources: Sources, log: io.BytesIO):
    sources["amid"] = Source(b"once", error=RuntimeError(SECRET))
    async with receive(running, "amid", kind="plain") as answer:
        assert await answer.rest() == b"once"
    assert not answer.whole
    assert SECRET in log.getvalue().decode()


async def test_a_rule_that_refuses_says_why(running: TestPlatform, sources: Sources, log: io.BytesIO):
    sources["early"] = Source(error=Conflict("Not now."))
    async with receive(running, "early") as answer:
        assert answer.status == 409
    sources["amid"] = Source(b"data: 1\n\n", error=Conflict("Not now."))
    async with receive(running, "amid") as answer:
        assert b'"detail":"Not now."' in await answer.rest()
    assert log.getvalue() == b""


async def test_who_does_not_read_holds_nothing_for_long(
    running: TestPlatform, sources: Sources, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(streams, "SEND_TIMEOUT", 0.05)
    source = sources["much"] = Source(*[b"data: x\n\n"] * 1_000)
    async with receive(running, "much", read=False) as answer:
        await within(source.closed)
        await answer.finished()
    assert source.given <= 3, "what is not read is not made"
    assert not answer.whole


async def test_the_end_does_not_wait_for_who_does_not_read(
    running: TestPlatform, sources: Sources, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(streams, "CLOSE_GRACE", 0.05)
    source = sources["much"] = Source(*[b"data: x\n\n"] * 1_000)
    async with receive(running, "much", read=False) as answer:
        running.app.platform.leave(True)
        await within(source.closed)
        await answer.finished()
    await swap(running, running.registry)


async def test_the_status_does_not_wait_for_ever(
    running: TestPlatform, sources: Sources, monkeypatch: pytest.MonkeyPatch
):
    """Whoever subscribes to what is rare learns that it worked."""
    monkeypatch.setattr(streams, "FIRST_PIECE", 0.05)
    sources["rare"] = Source()
    async with asyncio.timeout(10), receive(running, "rare") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")


async def test_head_reads_nothing(running: TestPlatform, sources: Sources):
    source = sources["head"] = Source(b"data: 1\n\n")
    async with asyncio.timeout(10), receive(running, "head", method="HEAD") as answer:
        assert answer.status == 200
        assert await answer.rest() == b""
    assert answer.whole
    assert source.given == 0


async def test_it_holds_no_connection(running: TestPlatform, sources: Sources, log: io.BytesIO):
    async def source(uow: UnitOfWork) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await uow.fetchval("SELECT 1")

    sources["reader"] = source
    for kind, method in (("events", "GET"), ("written", "POST")):
        async with receive(running, "reader", kind=kind, method=method) as answer:
            assert b"internal_error" in await answer.rest()
    assert log.getvalue().count(b"RuntimeError: the unit of work has ended") == 2
    pool = running.runtime.database.app
    assert pool.get_idle_size() == pool.get_size()


async def test_one_that_will_not_end_is_left_behind(
    running: TestPlatform, sources: Sources, monkeypatch: pytest.MonkeyPatch, log: io.BytesIO
):
    monkeypatch.setattr(streams, "END_TIMEOUT", 0.05)
    release = asyncio.Event()

    async def stubborn(_: UnitOfWork) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    sources["stubborn"] = stubborn
    async with receive(running, "stubborn") as answer:
        assert await answer.piece()
        answer.hang_up()
        await answer.finished()
    assert b"stream.not_closed" in log.getvalue()
    release.set()


async def test_one_that_cancels_itself_has_failed(running: TestPlatform, sources: Sources):
    async def cancelled(_: UnitOfWork) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise asyncio.CancelledError

    sources["cancelled"] = cancelled
    async with asyncio.timeout(10), receive(running, "cancelled") as answer:
        assert b"internal_error" in await answer.rest()


async def test_a_key_does_not_replay_what_is_not_kept(running: TestPlatform, sources: Sources):
    sources["twice"] = Source(b"data: 1\n\n")
    for _ in range(2):
        answer = Receiver(
            running.app, "/api/v1/streams/written/twice", headers={"Idempotency-Key": "one", "content-length": "0"}
        )
        async with answer:
            assert answer.status == 201
            assert await answer.piece() == b"data: 1\n\n"
