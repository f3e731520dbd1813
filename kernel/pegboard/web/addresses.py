"""Whose request it is, as far as the network tells."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

__all__ = ("Addresses",)

MAX_REMEMBERED = 50_000
# RFC 7239, 4: one pair of an element: a token, and a token or a quoted text.
_PAIR = re.compile(r'\s*([A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*(;|,|$)')


class Addresses:
    """Reads a caller's address through the proxies that the administrator trusts.

    The header counts only from them, and is read from the right: the first address that is not a trusted proxy's is the
    caller's. Only one header is read, the one that the proxies are known to set: the other they may pass on as it came.
    """

    def __init__(
        self,
        trusted: Sequence[str],
        *,
        forwarded_by: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for",
        ipv6_prefix: int = 64,
    ) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in trusted]
        self._header = forwarded_by.encode()
        self._hops = _x_forwarded_for if forwarded_by == "x-forwarded-for" else _forwarded
        self._prefix = ipv6_prefix
        self._trusted: dict[str, bool] = {}
        self._groups: dict[str, str] = {}

    def trusts(self, address: str) -> bool:
        """Whether `address` is a trusted proxy's."""
        if not self._networks:
            return False
        known = self._trusted.get(address)
        if known is None:
            try:
                parsed = ipaddress.ip_address(address)
                if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
                    parsed = parsed.ipv4_mapped  # how a socket for both families names an IPv4 peer
                known = any(parsed in network for network in self._networks)
            except ValueError:
                known = False
            if len(self._trusted) >= MAX_REMEMBERED:
                self._trusted.clear()
            self._trusted[address] = known
        return known

    def caller(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The caller's address, given the connection's peer. What a proxy says that is no address ends the search: the
        last trusted hop stands for whoever is behind it.
        """
        if not self.trusts(peer):
            return peer
        # A proxy may add a line of its own instead of going on in the one that came: all of them are one list.
        text = ",".join([value.decode("latin-1") for name, value in headers if name == self._header])
        caller = peer
        for hop in self._hops(text) if text else ():
            address = _address(hop)
            if address is None:
                return caller
            if not self.trusts(address):
                return address
            caller = address
        return caller

    def group(self, address: str) -> str:
        """What a rate is counted by: an IPv4 address, or the network of an IPv6 one, which one subscriber holds."""
        if ":" not in address:
            return address
        known = self._groups.get(address)
        if known is None:
            try:
                parsed = ipaddress.IPv6Address(address)
            except ValueError:
                return address
            mapped = parsed.ipv4_mapped
            known = str(mapped) if mapped else str(ipaddress.IPv6Network((parsed, self._prefix), strict=False))
            if len(self._groups) >= MAX_REMEMBERED:
                self._groups.clear()
            self._groups[address] = known
        return known


def _x_forwarded_for(text: str) -> Iterator[str]:
    """The hops, the nearest first."""
    return (hop.strip() for hop in reversed(text.split(",")))


def _forwarded(text: str) -> Iterator[str]:
    """The hops of `Forwarded` (RFC 7239), the nearest first; an empty one for an element that says none. Nothing where
    the header can't be read: then nobody knows which of its parts a proxy wrote.
    """
    hops = [""]
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return iter(())
        if pair[1].lower() == "for":
            hops[-1] = pair[2].strip('"')
        if pair[3] == ",":
            hops.append("")
        place = pair.end()
    return reversed(hops)


def _address(hop: str) -> str | None:
    """The address of a hop, which may come with its port."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return None
