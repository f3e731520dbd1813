"""Whether a configured Redis answers. (Its client library takes longer to import than all of `pegboard up`.)"""

import asyncio
from urllib.parse import unquote, urlsplit

__all__ = ("PATIENCE", "unanswered")

PATIENCE = 2.0
"""Seconds that an answer may take."""


async def unanswered(url: str) -> str | None:
    """Where nothing answers, without the URL's password; None where something does.

    Whatever comes back to a PING is an answer, a refusal too; from `rediss://` it is the connection itself.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        place = unquote(parts.path)
        connecting = asyncio.open_unix_connection(place)
    else:
        host, port = parts.hostname or "localhost", parts.port or 6379
        place = f"{host}:{port}"
        connecting = asyncio.open_connection(host, port)
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await connecting
            try:
                if parts.scheme == "rediss":
                    return None
                writer.write(b"PING\r\n")
                return None if await reader.read(1) else place
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return place
