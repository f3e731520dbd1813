"""What is refused before anything of a request is looked at: its form, its size, and the host that it asks for."""

import ipaddress
from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import urlsplit

from pegboard_sdk.errors import DomainError

from pegboard.config.model import HttpConfig
from pegboard.tenancy.errors import BadHost
from pegboard.web.limits import MAX_HEADERS, MAX_TARGET

__all__ = (
    "PROBES",
    "CompressedBody",
    "HeaderRepeated",
    "HeadersTooLarge",
    "Misdirected",
    "Screen",
    "TargetTooLong",
    "TransferCodingUnknown",
)

PROBES = frozenset(("/health/live", "/health/ready"))
_MAX_REMEMBERED = 1_024
_ONCE = frozenset(
    (
        b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"idempotency-key",
        b"if-match", b"origin", b"transfer-encoding", b"x-csrf-token",
    )
)  # fmt: skip
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Misdirected(DomainError):
    """The request names a host that is not ours."""

    status = 421
    code = "misdirected_request"


class TargetTooLong(DomainError):
    """The path and query are too long."""

    status = 414
    code = "uri_too_long"


class HeadersTooLarge(DomainError):
    """The headers are too large."""

    status = 431
    code = "headers_too_large"


class HeaderRepeated(DomainError):
    """A header that says one thing came twice: a proxy and we might each believe another one."""

    code = "header_repeated"


class TransferCodingUnknown(DomainError):
    """The body comes in a transfer coding besides `chunked`."""

    status = 501
    code = "transfer_coding_unknown"


class CompressedBody(DomainError):
    """The body is compressed. It is not inflated: a few bytes may stand for gigabytes."""

    status = 415
    code = "compressed_body"

    def __init__(self) -> None:
        super().__init__(
            "Send the body as it is, without Content-Encoding: compressed bodies are not taken.",
            headers={"Accept-Encoding": "identity"},  # RFC 9110, 12.5.3
        )


class Screen:
    """Made once. Without `allowed_hosts`, the hosts are those of `public_url`, what the server listens on, and
    loopback; without `public_url` too, they are all.
    """

    def __init__(self, http: HttpConfig) -> None:
        hosts = list(http.allowed_hosts)
        if not hosts and (public := urlsplit(http.public_url).netloc.rpartition("@")[2]):
            hosts = [public, http.host, *_LOOPBACK]
        self._any_host = not hosts or "*" in hosts
        self._hosts = frozenset(_host(host.encode()) for host in hosts)
        self._remembered: set[bytes] = set()

    def check(self, scope: Any, headers: Mapping[bytes, bytes], tenants: Container[str]) -> None:
        """Look at a request. `tenants` are the host names of marketplaces, which are ours too.

        Raises:
            TargetTooLong, HeadersTooLarge, HeaderRepeated, TransferCodingUnknown, CompressedBody,
                BadHost: its form or size.
            Misdirected: it asks for a host that is not ours.
        """
        pairs = scope["headers"]
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
            raise TargetTooLong(f"The path and query are longer than {MAX_TARGET} bytes.")
        if sum([len(name) + len(value) for name, value in pairs]) > MAX_HEADERS:
            raise HeadersTooLarge(f"The headers are larger than {MAX_HEADERS} bytes.")
        if len(headers) != len(pairs):
            self._check_once(pairs)
        if b"content-encoding" in headers and headers[b"content-encoding"].strip().lower() not in (b"identity", b""):
            raise CompressedBody
        if b"transfer-encoding" in headers and headers[b"transfer-encoding"].strip().lower() != b"chunked":
            raise TransferCodingUnknown("Send the body with Content-Length, or chunked and nothing else.")
        if not self._any_host:
            self._check_host(headers.get(b"host", b""), scope["path"], tenants)

    @staticmethod
    def _check_once(pairs: list[tuple[bytes, bytes]]) -> None:
        seen: set[bytes] = set()
        for name, _ in pairs:
            if name == b"host" and name in seen:
                raise BadHost("Send one Host header.")
            if name in _ONCE and name in seen:
                raise HeaderRepeated(f"Send the header {name.decode('latin-1')} once.")
            seen.add(name)

    def _check_host(self, named: bytes, path: str, tenants: Container[str]) -> None:
        if named in self._remembered:
            return
        host = _host(named)
        if host in self._hosts:
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered.add(named)
            return
        if host.decode("latin-1") in tenants or (path in PROBES and (not host or _is_address(host))):
            return  # a load balancer asks each machine by its address
        raise Misdirected("This host name is not served here.")


def _host(text: bytes) -> bytes:
    """The host of `host:port`, as it is compared."""
    text = text.strip().lower()
    host = text[: text.find(b"]") + 1] if text.startswith(b"[") else text.partition(b":")[0]
    return host.removesuffix(b".")


def _is_address(host: bytes) -> bool:
    try:
        ipaddress.ip_address(host.decode("latin-1").strip("[]"))
    except ValueError:
        return False
    return True
