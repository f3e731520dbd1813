"""Streams over real HTTP: the receiver that hangs up is heard of, and a server that ends tells who still listens."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.plugins.ai_providers.factories import COMPLETIONS, counted, newcomer, request
from tests.plugins.ai_providers.peer import Peer, chunk, events
from tests.support.platform import Account, TestPlatform
from tests.support.processes import left_of
from tests.support.served import Serve, Served, serving


@pytest.fixture
def serve(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Serve]:
    """Starts servers on free ports; they are ended with the test."""
    yield from serving(tmp_path, database_url, redis_url)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A model that says one word and then thinks for ever."""
    async with Peer(events(chunk("first")), content_type="text/event-stream", hold=asyncio.Event()) as peer:
        yield peer


@asynccontextmanager
async def listening(served: Served, account: Account) -> AsyncIterator[AsyncIterator[bytes]]:
    """The pieces of an answer that never ends by itself."""
    headers = {"authorization": f"Bearer {account.token}"}
    async with (
        httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60) as client,
        client.stream("POST", f"{COMPLETIONS}/stream", json=request("hi")) as answer,
    ):
        assert answer.status_code == 200
        pieces = answer.aiter_raw()
        assert b'{"content":"first"}' in await anext(pieces)
        yield pieces


async def test_who_hangs_up_is_heard_of(platform: TestPlatform, serve: Serve, peer: Peer):
    ada = await newcomer(platform, peer.base_url)
    served = await asyncio.to_thread(serve, "--port", "0")
    async with listening(served, ada):
        assert (await counted(ada))[1] > 0
    async with asyncio.timeout(20):
        await peer.hung_up.wait()
        while (await counted(ada))[1]:
            pass
    assert (await counted(ada))[0] > 0


async def test_a_server_that_ends_tells_who_listens(platform: TestPlatform, serve: Serve, peer: Peer):
    ada = await newcomer(platform, peer.base_url)
    served = await asyncio.to_thread(serve, "--port", "0")
    (worker,) = psutil.Process(served.process.pid).children(recursive=True)
    async with listening(served, ada) as pieces, asyncio.timeout(20):
        served.process.send_signal(signal.SIGTERM)
        rest = asyncio.create_task(_joined(pieces))
        # Streams have 30 s; who asks twice does not want to wait for that.
        while not rest.done():
            os.kill(worker.pid, signal.SIGTERM)
            await asyncio.wait((rest,), timeout=0.2)
        assert rest.result().startswith(b"retry: 1000\n\nevent: closing\n")
    assert await asyncio.to_thread(served.process.wait, 20) == 0
    assert left_of([worker]) == []
    assert not [line for line in served.lines() if line["level"] in ("warning", "error")]
    used, reserved = await counted(ada)
    assert used > 0
    assert reserved == 0


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])
