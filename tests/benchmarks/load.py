"""HTTP load on loopback, bounded in time: keep-alive connections that send one fixed request after the other."""

import asyncio
import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO
from urllib.parse import urlsplit

__all__ = ("free_port", "get", "measure", "running_server")

START_TIMEOUT = 60.0


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Client(asyncio.Protocol):
    """Sends the request, reads the answer by its content length, and starts again until told to stop."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answered = 0
        self.failed = 0
        self.latencies: list[float] = []
        self.running = True
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._needed = 0
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._needed = 0
        self._buffer.clear()
        self._sent = time.perf_counter()
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                self.failed += 1
            at = head.index(b"content-length:") + 15
            self._needed = end + 4 + int(head[at : head.find(b"\r", at) if head.find(b"\r", at) > 0 else len(head)])
        if len(self._buffer) >= self._needed:
            self.latencies.append(time.perf_counter() - self._sent)
            self.answered += 1
            if self.running:
                self._send()
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.running:
            self.failed += 1
        if not self.done.done():
            self.done.set_result(None)


async def _measure(url: str, headers: Mapping[str, str], seconds: float, connections: int) -> tuple[float, list[float]]:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", f"host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Client(request), str(parts.hostname), parts.port or 80))[1]
        for _ in range(connections)
    ]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    answered = sum(client.answered for client in clients)
    elapsed = time.perf_counter() - began
    for client in clients:
        client.running = False
    await asyncio.wait([client.done for client in clients], timeout=10)
    if failed := sum(client.failed for client in clients):
        raise RuntimeError(f"{failed} requests to {url} failed")
    return answered / elapsed, [latency for client in clients for latency in client.latencies]


def measure(
    url: str, *, headers: Mapping[str, str], seconds: float = 1.0, connections: int = 8
) -> tuple[float, list[float]]:
    """Requests answered per second, and each one's latency in seconds.

    Raises:
        RuntimeError: an answer was not 200.
    """
    return asyncio.run(_measure(url, headers, seconds, connections))


def get(url: str, headers: Mapping[str, str]) -> bytes:
    """One answer's body."""
    import httpx

    response = httpx.get(url, headers=dict(headers))
    response.raise_for_status()
    return response.content


@contextlib.contextmanager
def running_server(command: Sequence[str], *, port: int, env: Mapping[str, str], ready: str) -> Iterator[str]:
    """Run a server of the benchmark and stop it at the end. Gives its base URL once `ready` (a path) answers 200."""
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=dict(env), stdout=subprocess.DEVNULL, stderr=output)
        yield from _serving(process, base, ready, output)


def _serving(process: subprocess.Popen[bytes], base: str, ready: str, output: IO[bytes]) -> Iterator[str]:
    import httpx

    try:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(base + ready, timeout=2).status_code == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                output.seek(0)
                error = output.read().decode(errors="replace")
                raise RuntimeError(f"{process.args} did not become ready: {error[-2000:]}")
            time.sleep(0.02)
        yield base
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
