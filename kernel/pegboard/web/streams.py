"""Answers that come in pieces, and what ends them.

Litestar's own way of streaming closes nothing when the receiver goes away, lets one that doesn't read hold everything,
and knows no generations. Here one task reads the handler's iterator from its start to its end, so that whatever it
entered it also leaves (cancel scopes and context variables want that), and the request's task sends. The reader is at
most two pieces ahead.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from litestar.response import Stream
from litestar.types import Receive, Scope, Send
from pegboard_sdk.errors import Unavailable

from pegboard.web.problems import encode_problem, to_domain_error

__all__ = ("StreamAnswer",)

FIRST_PIECE = 1.0
"""Seconds that the status waits for the first piece: what fails before that is an ordinary problem."""
SEND_TIMEOUT = 30.0
"""Seconds that the receiver may take for one piece."""
CLOSE_GRACE = 3.0
"""Seconds that the receiver has for the piece under way, once the stream must end."""
END_TIMEOUT = 10.0
"""Seconds that the iterator has to end, once it is told to."""
EVENTS = "text/event-stream"
CLOSING = b'retry: 1000\n\nevent: closing\ndata: {"reason":"this process ends: connect again"}\n\n'
log = structlog.get_logger("pegboard.web")


class _End:
    """The iterator gives no more pieces: it has ended, or `error` ended it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class _Closing:
    """The generation is retired, and its time to drain is over."""


class _Gone:
    """The receiver has hung up."""


class _Cut(Exception):
    """The answer stops amid its body. The server then breaks the connection: it is how a receiver of anything but
    events sees that something lacks.
    """


class StreamAnswer(Stream):
    """A handler's `Stream`, sent by us.

    It ends when its iterator does, when the receiver hangs up or reads too slowly, or when `closing` is set: then
    server-sent events end with a hint to reconnect, and any other stream with the connection. The iterator is closed
    before the request ends, whatever ended it. `began` is called once the status is sent, `broke` when the iterator
    fails after that.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        closing: asyncio.Event,
        request_id: str,
        head: bool,
        began: Callable[[], None],
        broke: Callable[[Exception], None],
    ) -> None:
        super().__init__(stream.iterator)
        self._stream = stream
        self._closing = closing
        self._request_id = request_id
        self._head = head
        self._began = began
        self._broke = broke

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> Any:
        """What Litestar calls: the ASGI application that sends the answer."""
        prepared = self._stream.to_asgi_response(*args, **kwargs)
        return _Sending(
            prepared,
            closing=self._closing,
            request_id=self._request_id,
            head=self._head,
            began=self._began,
            broke=self._broke,
        )


class _Sending:
    """One answer on its way. `prepared` is Litestar's: it knows the headers and holds the iterator."""

    def __init__(
        self,
        prepared: Any,
        *,
        closing: asyncio.Event,
        request_id: str,
        head: bool,
        began: Callable[[], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self._prepared = prepared
        self._began = began
        self._broke = broke
        self._source: AsyncIterator[bytes | str] = aiter(prepared.iterator)
        self._closing = closing
        self._request_id = request_id
        self._head = head
        self._events = str(prepared.headers.get("content-type", "")).startswith(EVENTS)
        self._coming: asyncio.Queue[bytes | _End | _Closing | _Gone] = asyncio.Queue()
        self._room = asyncio.Semaphore(1)
        self._sending: asyncio.Timeout | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._head:
            await self._close_source()
            await self._prepared.start_response(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        reader = asyncio.create_task(self._read())
        watchers = (asyncio.create_task(self._watch_closing()), asyncio.create_task(self._watch_receiver(receive)))
        try:
            await self._deliver(send)
            await self._prepared.after_response()
        except _Cut as cut:
            log.warning("stream.cut", reason=str(cut), request_id=self._request_id)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await self._end(reader)

    async def _deliver(self, send: Send) -> None:
        what = await self._first()
        if isinstance(what, _End) and what.error is not None:
            raise what.error  # nothing was sent yet: it is answered as a problem
        if isinstance(what, _Closing) and not self._events:
            raise Unavailable("This process is about to end. Send the request again.", retry_after=1)
        if not isinstance(what, _Gone):
            await self._prepared.start_response(send)
            self._began()
        while what is None or isinstance(what, bytes):
            if what is not None:
                await self._send(send, what)
                self._room.release()
            what = await self._coming.get()
        if not isinstance(what, _Gone):
            await self._send(send, self._last_words(what))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _first(self) -> "bytes | _End | _Closing | _Gone | None":
        try:
            async with asyncio.timeout(FIRST_PIECE):
                return await self._coming.get()
        except TimeoutError:
            return None

    def _last_words(self, what: _End | _Closing) -> bytes:
        """What a stream of events ends with.

        Raises:
            _Cut: another kind of stream ends too early.
        """
        if isinstance(what, _Closing):
            if not self._events:
                raise _Cut("this process ends")
            return CLOSING
        if what.error is None:
            return b""
        self._broke(what.error)
        problem = to_domain_error(what.error, request_id=self._request_id)
        if not self._events:
            raise _Cut(problem.code)
        return b"event: error\ndata: " + encode_problem(problem, self._request_id) + b"\n\n"

    async def _send(self, send: Send, piece: bytes) -> None:
        if not piece:
            return
        try:
            async with asyncio.timeout(CLOSE_GRACE if self._closing.is_set() else SEND_TIMEOUT) as self._sending:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            raise _Cut("the receiver does not read") from None
        finally:
            self._sending = None

    async def _read(self) -> None:
        """Read the iterator to its end. No other task touches it."""
        end = _End(RuntimeError("the stream's iterator was cancelled from within"))
        try:
            async for piece in self._source:
                await self._room.acquire()
                self._coming.put_nowait(piece if isinstance(piece, bytes) else piece.encode())
            end = _End()
        except Exception as error:  # noqa: BLE001  # the sender decides what the receiver may know of it
            end = _End(error)
        finally:
            await self._close_source()
            self._coming.put_nowait(end)

    async def _close_source(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception:
                log.exception("stream.close_failed", request_id=self._request_id)

    async def _watch_closing(self) -> None:
        await self._closing.wait()
        self._coming.put_nowait(_Closing())
        if self._sending is not None and not self._sending.expired():
            self._sending.reschedule(asyncio.get_running_loop().time() + CLOSE_GRACE)

    async def _watch_receiver(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._coming.put_nowait(_Gone())

    async def _end(self, reader: "asyncio.Task[None]") -> None:
        reader.cancel()
        await asyncio.wait((reader,), timeout=END_TIMEOUT)
        if not reader.done():
            log.error("stream.not_closed", request_id=self._request_id)
