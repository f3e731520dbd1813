"""Connects to other programs: to the address that was checked, and to no other.

Who resolves a name, checks it and then lets the client resolve it again has checked nothing: the second answer may be
another one (DNS rebinding). Here one answer is asked for, checked, and connected to. The certificate is verified by the
name all the same.
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, cast

import httpcore
import httpx
from pegboard_sdk.outbound import OutboundRefused

from pegboard.capabilities.reach import Address, Reach

__all__ = ("CheckedTransport", "resolve")

MAX_ADDRESSES = 8
"""Of one name. More are not tried: each may take the time of a connection."""


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses that a name leads to, each once, in the system's order.

    Raises:
        httpcore.ConnectError: it leads nowhere.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} has no address") from error
    # A link-local address may come with its interface: fe80::1%eth0.
    return list(dict.fromkeys(ip_address(str(address[0]).partition("%")[0]) for *_, address in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens the connections of one plugin's client."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        # httpcore declares a stand-in too, for where anyio is missing.
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the name's addresses that answers. All of them must be allowed.

        Raises:
            OutboundRefused: one of them may not be called.
            httpcore.ConnectError, httpcore.ConnectTimeout: none answers.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await resolve(host, port)
                for address in addresses:
                    if not self._reach.allows(host, port, address):
                        raise OutboundRefused
                return await self._first(addresses[:MAX_ADDRESSES], port, timeout, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} does not answer") from error

    async def _first(
        self,
        addresses: list[Address],
        port: int,
        timeout: float | None,  # noqa: ASYNC109  # httpcore's
        local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.AsyncNetworkStream:
        # One that swallows what it is sent must leave time for the others.
        each = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(str(address), port, each, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(str(addresses[-1]), port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refused: no address leads to one."""
        raise OutboundRefused

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's own, over connections that are checked. Proxies of the environment are not used: they would resolve the
    names, and nothing here would be checked.
    """

    def __init__(self, tls: Any, limits: httpx.Limits, reach: Reach) -> None:
        # Not super().__init__(): all that it does is to make a pool, and it can't be told how to connect.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=CheckedNetwork(reach),
        )
