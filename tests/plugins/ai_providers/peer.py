"""A provider that answers whatever a test says, for what no server can be made to answer."""

import asyncio
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

__all__ = ("Peer", "chunk", "events")


def chunk(content: str | None = None, *, finish: str | None = None, usage: Any = None) -> bytes:
    """A chunk of a streamed answer, as OpenAI's API has it, with non-ASCII characters as they are."""
    choices = [{"index": 0, "delta": {"content": content} if content is not None else {}, "finish_reason": finish}]
    data: dict[str, Any] = {"object": "chat.completion.chunk", "choices": choices}
    if usage is not None:
        data |= {"choices": [], "usage": usage}
    return json.dumps(data, ensure_ascii=False).encode()


def events(*data: bytes) -> bytes:
    """Server-sent events."""
    return b"".join(b"data: " + one + b"\n\n" for one in data)


class Peer:
    """An HTTP server on loopback. Each request gets `status`, `headers` and the parts of `body`; what comes after
    `hold` is kept back until it is set, and then the connection ends.
    """

    def __init__(
        self,
        *body: bytes,
        status: int = 200,
        content_type: str = "application/json",
        headers: Sequence[str] = (),
        hold: asyncio.Event | None = None,
    ) -> None:
        self.body = body
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        """Set when a request has come."""
        self.hung_up = asyncio.Event()
        """Set when somebody has hung up on it."""
        self._head = "\r\n".join((f"HTTP/1.1 {status} Answer", f"content-type: {content_type}", *headers, "", ""))
        self._hold = hold
        self._server: asyncio.Server | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        if self._hold is not None:
            self._hold.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line)
            self.requests.append(head + (await reader.readexactly(length)).decode())
            self.asked.set()
            writer.write(self._head.encode())
            for part in self.body:
                writer.write(part)
                await writer.drain()
            if self._hold is not None:
                await self._wait(reader, self._hold)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()

    async def _wait(self, reader: asyncio.StreamReader, hold: asyncio.Event) -> None:
        gone, held = asyncio.create_task(reader.read()), asyncio.create_task(hold.wait())
        await asyncio.wait((gone, held), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.hung_up.set()
        for task in (gone, held):
            task.cancel()
