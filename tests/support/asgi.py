"""A receiver of one answer, without a server in between: it sees each piece when it is sent, and can hang up."""

import asyncio
from collections.abc import Mapping
from typing import Any

__all__ = ("Receiver",)


class Receiver:
    """Sends a request to an ASGI application and takes its answer piece by piece. Use it as an async context manager.

    One that does not `read` never takes more than the status. Of a body that is not `whole` the rest never comes.
    """

    def __init__(
        self,
        app: Any,
        path: str,
        *,
        method: str = "POST",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        read: bool = True,
        whole: bool = True,
    ) -> None:
        self._app = app
        self._request = {"type": "http.request", "body": body, "more_body": not whole}
        self._read = read
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._hung_up = asyncio.Event()
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("127.0.0.1", 12345),
            "server": ("platform.test", 80),
        }
        self._task: asyncio.Task[None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.whole = False
        """Whether the answer came to its end."""

    async def __aenter__(self) -> "Receiver":
        self._task = asyncio.create_task(self._app(self._scope, self._receive, self._send))
        self._task.add_done_callback(lambda _: self._sent.put_nowait(None))
        start = await self._sent.get()
        if start is not None:
            self.status = start["status"]
            self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()
        await self.finished()

    async def piece(self) -> bytes | None:
        """The next piece; None once there is none."""
        while (message := await self._sent.get()) is not None:
            if message["body"]:
                return message["body"]
        return None

    async def rest(self) -> bytes:
        """All that still comes."""
        pieces = []
        while (piece := await self.piece()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    def hang_up(self) -> None:
        """Go away."""
        self._hung_up.set()

    async def finished(self) -> None:
        """Wait until the application is done with the request."""
        assert self._task is not None
        async with asyncio.timeout(20):
            await asyncio.wait((self._task,))

    async def _receive(self) -> Any:
        if self._request:
            request, self._request = self._request, {}
            return request
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            if not self._read:
                await self._hung_up.wait()
                return
            self.whole = self.whole or not message["more_body"]
        self._sent.put_nowait(message)
