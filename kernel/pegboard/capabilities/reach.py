"""Which network addresses may be called. A name says nothing of where it leads: what counts is the address."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

from pegboard.config.model import OutboundConfig

__all__ = ("PrivateHost", "Reach", "is_public")

Address = IPv4Address | IPv6Address
_ENTRY = re.compile(r"^(?:\[(?P<literal>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/]+))(?::(?P<port>[0-9]{1,5}))?$")
_NAME = re.compile(r"^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_TEREDO = IPv6Network("2001::/32")
# Azure's, which answers every virtual machine and is no private address. The other clouds' are link-local (169.254/16),
# shared (100.64/10), unique local (fd00::/8) or of 192.0.0.0/24: none of those is public.
_METADATA = frozenset((IPv4Address("168.63.129.16"),))
# Protocol assignments, of which Python's releases differ in what they call global, and 6to4's relays (RFC 7526).
_SPECIAL = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could have this address: not ours, not the machine's, nobody's metadata.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged by that; tunnels (Teredo) are refused.
    """
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST or address in _TEREDO:
            return False
    elif any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _METADATA


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


class PrivateHost(msgspec.Struct, frozen=True):
    """An entry of `outbound.private_hosts`: a name, an address or a network, and the port, None for any."""

    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    @classmethod
    def parse(cls, entry: str) -> "PrivateHost":
        """Read `name`, `name:port`, `10.0.3.7`, `10.0.3.7:8080`, `10.0.3.0/24`, `::1` or `[::1]:8080`.

        Raises:
            ValueError: it is none of these.
        """
        entry = entry.strip().lower()
        try:
            return cls("", ip_network(entry), None)
        except ValueError:
            found = _ENTRY.match(entry)
        port = int(found["port"]) if found and found["port"] else None
        if found is None or (port is not None and not 0 < port < 65536):
            raise ValueError(f'{entry!r} is no host: write "name", "name:port", "10.0.3.7:80", "10.0.3.0/24" or "::1"')
        host = found["literal"] or found["host"]
        try:
            return cls("", ip_network(host), port)
        except ValueError:
            if found["literal"] or not _NAME.match(host):
                raise ValueError(f"{entry!r} is no host name, address or network") from None
        return cls(host.rstrip("."), None, port)

    def covers(self, host: str, port: int, address: Address) -> bool:
        """Whether `address`, to which `host` leads, may be called at `port` though it is private.

        What a *name* leads to is up to whoever answers for it. So a name never stands for link-local addresses, where
        the metadata of clouds is.
        """
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address in self.network
        return host == self.name and not address.is_link_local and address not in _METADATA


class Reach:
    """What one plugin may call besides public addresses, and at which ports."""

    def __init__(self, config: OutboundConfig, plugin: str) -> None:
        entries = (*config.private_hosts.get(plugin, ()), *config.private_hosts.get("*", ()))
        self.private: Sequence[PrivateHost] = tuple(dict.fromkeys(map(PrivateHost.parse, entries)))
        self._ports = frozenset(config.ports)

    def allows(self, host: str, port: int, address: Address) -> bool:
        """Whether `address`, to which `host` leads, may be called at `port`."""
        if address.is_unspecified or address.is_multicast:
            return False
        return is_public(address) or self.covers(host, port, address)

    def covers(self, host: str, port: int, address: Address) -> bool:
        """Whether an entry of `outbound.private_hosts` is about this."""
        inner = _inside(address) if isinstance(address, IPv6Address) else None
        return any(entry.covers(host, port, each) for each in (address, inner) if each for entry in self.private)

    def allows_port(self, host: str, port: int) -> bool:
        """Whether `port` may be called where the manifest does not name one: a usual one, or a private host's."""
        if port in self._ports:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            # A network has no names: what this one leads to is judged when it is called.
            return any((e.network is not None or e.name == host) and e.port in (None, port) for e in self.private)
        return self.covers(host, port, address)
