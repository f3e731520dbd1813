"""The process's HTTP client: one pool of connections for all plugins, and nothing that a call leaves for the next."""

import asyncio
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

__all__ = ("HttpClient",)

CONNECT_TIMEOUT = 10.0
MAX_CONNECTIONS = 1_000
KEPT_CONNECTIONS = 50


class HttpClient:
    """Opened at its first use: most processes call nobody, and httpx with its certificates takes a fifth of a second.

    What must never be reached, such as addresses of the platform's own network, is to be refused by the transport that
    is made here: it knows the address that a name leads to.
    """

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def get(self) -> "httpx.AsyncClient":
        """The client. It follows no redirects and keeps no cookies."""
        if self._client is None:
            async with self._opening:
                if self._closed:
                    raise RuntimeError("the process is ending: nothing is called any more")
                if self._client is None:
                    self._client = await self._open()
        return self._client

    async def _open(self) -> "httpx.AsyncClient":
        import httpx

        tls = await asyncio.to_thread(httpx.create_ssl_context)  # reads the certificates
        return httpx.AsyncClient(
            verify=tls,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS),
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def close(self) -> None:
        """Close the connections."""
        async with self._opening:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            await client.aclose()
