"""The process's HTTP clients: pools of connections to addresses that were checked, and nothing that a call leaves for
the next.
"""

import asyncio
from collections.abc import Hashable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from pegboard.capabilities.reach import Reach
from pegboard.config.model import OutboundConfig

if TYPE_CHECKING:
    import httpx

__all__ = ("HttpClient",)

CONNECT_TIMEOUT = 10.0
MAX_CONNECTIONS = 1_000
KEPT_CONNECTIONS = 50


class HttpClient:
    """Opened at its first use: most processes call nobody, and httpx with its certificates takes a fifth of a second.

    Plugins share a pool, but for those that `outbound.private_hosts` names: a connection to a private address must not
    be there for who may not open one.
    """

    def __init__(self, config: OutboundConfig) -> None:
        self._config = config
        self._reaches: dict[str, Reach] = {}
        self._clients: dict[Hashable, httpx.AsyncClient] = {}
        self._opening = asyncio.Lock()
        self._closed = False

    def reach(self, plugin: str = "kernel") -> Reach:
        """What a plugin may call besides public addresses."""
        reach = self._reaches.get(plugin)
        if reach is None:
            reach = self._reaches[plugin] = Reach(self._config, plugin)
        return reach

    async def get(self, plugin: str = "kernel") -> "httpx.AsyncClient":
        """The client of a plugin, or the kernel's. It follows no redirects and keeps no cookies.

        Its calls raise `OutboundRefused` where a name leads to an address that may not be called.
        """
        reach = self.reach(plugin)
        client = self._clients.get(reach.private)
        if client is None:
            async with self._opening:
                if self._closed:
                    raise RuntimeError("the process is ending: nothing is called any more")
                client = self._clients.get(reach.private)
                if client is None:
                    client = self._clients[reach.private] = await self._open(reach)
        return client

    async def _open(self, reach: Reach) -> "httpx.AsyncClient":
        import httpx

        from pegboard.capabilities.network import CheckedTransport

        tls = await asyncio.to_thread(httpx.create_ssl_context)  # reads the certificates
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS)
        return httpx.AsyncClient(
            transport=CheckedTransport(tls, limits, reach),
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def close(self) -> None:
        """Close the connections."""
        async with self._opening:
            self._closed = True
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()
