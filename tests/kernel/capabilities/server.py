"""Another program, on loopback: it keeps what it is sent and answers what a test says."""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ("Server",)


class Server:
    """Each request gets `answer`, a whole HTTP response; what comes after it waits for `hold`, where there is one."""

    def __init__(self, answer: bytes, *, hold: asyncio.Event | None = None) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.connections = 0
        self.hung_up = asyncio.Event()
        self._hold = hold
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        if self._hold is not None:
            self._hold.set()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                sizes = [line for line in head.lower().split("\r\n") if line.startswith("content-length")]
                body = await reader.readexactly(int(sizes[0].split(":")[1])) if sizes else b""
                self.requests.append(head + body.decode("latin-1"))
                writer.write(self.answer)
                await writer.drain()
                if self._hold is not None:
                    await reader.read()
                    self.hung_up.set()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            self._tasks.discard(task)
            writer.close()


def response(body: bytes = b"hello", *headers: str, status: int = 200) -> bytes:
    """An HTTP response."""
    lines = (f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body
