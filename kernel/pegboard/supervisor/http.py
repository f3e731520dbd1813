"""The smallest HTTP client that can ask the API whether it is ready (a real one takes longer to import)."""

import asyncio

__all__ = ("wait_until_ready",)

POLL = 0.05


async def wait_until_ready(ip: str, port: int, host_header: str) -> None:
    """Ask `GET /health/ready` until the answer is 200."""
    while await _status(ip, port, host_header) != 200:  # noqa: ASYNC110  # the other side is another process
        await asyncio.sleep(POLL)


async def _status(ip: str, port: int, host_header: str) -> int:
    """The answer's status; 0 where there is none."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(ip, port)
            try:
                writer.write(
                    f"GET /health/ready HTTP/1.1\r\nHost: {host_header}\r\nConnection: close\r\n\r\n".encode("latin-1")
                )
                parts = (await reader.readline()).split(b" ", 2)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return 0
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
