"""HTTP as bytes on a socket: for what no client would send."""

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

__all__ = ("Reply", "exchange")

PATIENCE = 20


class Reply(msgspec.Struct, frozen=True):
    """What came back until the server closed the connection or the answer was complete; status 0: nothing did."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    closed: bool

    def header(self, name: str) -> str:
        """A header's values, as one."""
        return ", ".join(value for known, value in self.headers if known == name)

    @property
    def code(self) -> str:
        """The code of the problem."""
        return msgspec.json.decode(self.body)["code"]


async def exchange(url: str, *pieces: bytes, pause: float = 0, wait_for_end: bool = False) -> Reply:
    """Send the pieces, `pause` seconds apart, and read one answer; with `wait_for_end` until the server closes."""
    parts = urlsplit(url)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        sending = asyncio.create_task(_send(writer, pieces, pause))
        try:
            return await _read(reader, wait_for_end)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()


async def _send(writer: asyncio.StreamWriter, pieces: Iterable[bytes], pause: float) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)  # the sender's slowness is what is tried


async def _read(reader: asyncio.StreamReader, wait_for_end: bool) -> Reply:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0, [], b"", closed=True)
    status, *lines = head.rstrip().split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    size = int(dict(headers).get("content-length", 0))
    body = await reader.readexactly(size)
    closed = not await reader.read() if wait_for_end else False
    return Reply(int(status.split(" ")[1]), headers, body, closed)
