"""Stands between a process and PostgreSQL, so that a test can stop a COMMIT on its way there, or its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

__all__ = ("PostgresProxy",)

_PORT = 5432
_COMMIT = b"COMMIT\0"


class PostgresProxy:
    """Relays every byte, until it is told to withhold a COMMIT or its answer. `withheld` is set then."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._tasks: set[asyncio.Task[None]] = set()
        self._armed: Literal["commit", "answer"] | None = None
        self._of = b""
        self.withheld = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, url: str) -> AsyncIterator[tuple[Self, str]]:
        """A proxy with its socket in `folder`, in front of the server of `url`; gives it and the URL through it."""
        parts = urlsplit(url)
        host = parse_qs(parts.query)["host"][0]
        proxy = cls(Path(host) / f".s.PGSQL.{_PORT}")
        server = await asyncio.start_unix_server(proxy._accept, folder / f".s.PGSQL.{_PORT}")
        try:
            yield proxy, urlunsplit(parts._replace(query=f"host={quote(str(folder), safe='/')}"))
        finally:
            server.close()
            for task in proxy._tasks:
                task.cancel()

    def withhold(self, what: Literal["commit", "answer"], *, of: bytes) -> None:
        """Keep the COMMIT of the next transaction with a statement that holds `of` from the server, or the server's
        answer to it from whoever sent it.
        """
        self.withheld.clear()
        self._armed, self._of = what, of

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        silent = asyncio.Event()
        for relay in (self._requests(reader, up_writer, silent), self._answers(up_reader, writer, silent)):
            task = asyncio.create_task(relay)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, silent: asyncio.Event) -> None:
        ours = False
        try:
            while data := await source.read(65_536):
                ours = ours or (self._armed is not None and self._of in data)
                if ours and self._armed is not None and _COMMIT in data:
                    held, self._armed = self._armed, None
                    silent.set()
                    if held == "commit":
                        self.withheld.set()
                        continue
                    sink.write(data)
                    self.withheld.set()
                    continue
                sink.write(data)
        finally:
            sink.close()

    async def _answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, silent: asyncio.Event) -> None:
        try:
            while data := await source.read(65_536):
                if not silent.is_set():
                    sink.write(data)
        finally:
            sink.close()
