"""Which hosts a plugin may call. All that decides whether an address is called is here."""

import re

import msgspec
from pegboard_sdk.outbound import OutboundAddressInvalid

__all__ = ("Destination", "HostRule", "destination_of")

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"^[a-z0-9._:-]+$")


class Destination(msgspec.Struct, frozen=True):
    """Where a call goes. `url` has no user name, no password and no fragment; `path` no query."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """The address for people and for the audit trail: a query may hold secrets."""
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        # As it is sent, with what is escaped: a control character could not be written down.
        return f"{self.scheme}://{host}{port}{self.path}"


def destination_of(url: str) -> Destination:
    """Read an address.

    Raises:
        OutboundAddressInvalid: it is no absolute http or https URL, or holds a user name or password.
    """
    import httpx  # a tenth of a second, which no process that calls nobody needs to spend

    try:
        parsed = httpx.URL(url.strip())
        port = parsed.port
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise OutboundAddressInvalid(f"this is no address to call: {error}") from error
    host = parsed.raw_host.decode("ascii").strip("[]").lower().rstrip(".")
    if parsed.scheme not in _DEFAULT_PORTS or not _HOST.match(host) or (port is not None and not 0 < port < 65536):
        raise OutboundAddressInvalid("an address to call is http://host/… or https://host/…")
    if parsed.userinfo:
        raise OutboundAddressInvalid("an address holds no user name or password: send an Authorization header")
    return Destination(
        str(parsed.copy_with(fragment=None)),
        parsed.scheme,
        host,
        port or _DEFAULT_PORTS[parsed.scheme],
        parsed.raw_path.partition(b"?")[0].decode("ascii"),
    )


class HostRule(msgspec.Struct, frozen=True):
    """An entry of `capabilities.outbound_hosts`: `host` is a name, `*.name` or `*`; `port` is None for any."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, entry: str) -> "HostRule":
        """The rule that a manifest's entry, with or without a port, stands for."""
        host, _, port = entry.lower().partition(":")
        return cls(host, int(port) if port else None)

    @classmethod
    def of_url(cls, url: str) -> "HostRule | None":
        """The rule of a configured address: its host and port and no other; None where there is none."""
        try:
            where = destination_of(url)
        except OutboundAddressInvalid:
            return None
        return cls(where.host, where.port)

    def allows(self, where: Destination) -> bool:
        """Whether a call may go there. `*.example.com` does not mean example.com itself."""
        if self.port is not None and self.port != where.port:
            return False
        if self.host == "*":
            return True
        if self.host.startswith("*."):
            return where.host.endswith(self.host[1:])
        return where.host == self.host
