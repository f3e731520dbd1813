"""Whose request it is, as far as the network tells."""

import ipaddress
from collections.abc import Sequence

__all__ = ("Addresses",)

MAX_REMEMBERED = 50_000


class Addresses:
    """Reads a caller's address through the proxies that the administrator trusts.

    `X-Forwarded-For` counts only from them, and is read from the right: the first address that is not a trusted
    proxy's is the caller's.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in trusted]
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
                known = any(parsed in network for network in self._networks)
            except ValueError:
                known = False
            if len(self._trusted) >= MAX_REMEMBERED:
                self._trusted.clear()
            self._trusted[address] = known
        return known

    def caller(self, peer: str, forwarded_for: bytes | None) -> str:
        """The caller's address, given the connection's peer."""
        if forwarded_for is None or not self.trusts(peer):
            return peer
        for hop in reversed(forwarded_for.decode("latin-1").split(",")):
            hop = hop.strip()
            try:
                ipaddress.ip_address(hop)
            except ValueError:
                return peer
            if not self.trusts(hop):
                return hop
        return peer

    def group(self, address: str) -> str:
        """What a rate is counted by: an IPv4 address, or the /64 network of an IPv6 one, which one subscriber holds."""
        if ":" not in address:
            return address
        known = self._groups.get(address)
        if known is None:
            try:
                parsed = ipaddress.IPv6Address(address)
            except ValueError:
                return address
            mapped = parsed.ipv4_mapped
            known = str(mapped) if mapped else str(ipaddress.IPv6Network((parsed, 64), strict=False))
            if len(self._groups) >= MAX_REMEMBERED:
                self._groups.clear()
            self._groups[address] = known
        return known
