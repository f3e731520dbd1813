"""The form of settings whose type alone doesn't tell whether anything can start with them."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pegboard_sdk.settings import Secret

from pegboard.config.model import Block

__all__ = ("CHECKS", "PLUGIN_CHECKS", "read_master_key")

_PIN = re.compile(r"^sha256:[0-9a-f]{64}$")


def read_master_key(text: str) -> bytes:
    """The 32 bytes that `secrets.master_key` stands for.

    Raises:
        ValueError: it is not 32 bytes in hex or base64.
    """
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("is neither hex nor base64: make one with `openssl rand -base64 32`") from error
    if len(key) != 32:
        raise ValueError(f"holds {len(key)} bytes; it must be 32: make one with `openssl rand -base64 32`")
    return key


def _database(url: Secret) -> None:
    _scheme(url, "postgresql://", "postgres://")


def _redis(url: Secret) -> None:
    _scheme(url, "redis://", "rediss://", "unix://")


def _scheme(url: Secret, *known: str) -> None:
    if url and not url.reveal().startswith(known):
        *others, last = known
        raise ValueError(f"must start with {', '.join(others)} or {last}")


def _master_key(key: Secret) -> None:
    if key:
        read_master_key(key.reveal())


def _master_keys(keys: list[Secret]) -> None:
    for key in keys:
        read_master_key(key.reveal())


def _sender(sender: str) -> None:
    _, address = parseaddr(sender)
    if "@" not in address or sender != sender.strip() or not sender.isprintable():
        raise ValueError('must be an address, such as "Market <no-reply@market.example>"')


def _link(link: str) -> None:
    if link and ("{token}" not in link or not link.startswith(("https://", "http://"))):
        raise ValueError('must be an address with {token} in it, such as "https://app.example/{kind}#{token}"')


def _proxies(proxies: list[str]) -> None:
    for text in proxies:
        try:
            ip_network(text, strict=False)
        except ValueError as error:
            raise ValueError(f'{text!r} is no address or network, such as "10.0.0.0/8" or "fd00::/8"') from error


def _origins(origins: list[str]) -> None:
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError(f'{origin!r} is no origin: write it like "https://app.example", without a path')


def _private_hosts(hosts: Mapping[str, list[str]]) -> None:
    from pegboard.capabilities.reach import PrivateHost  # which knows the configuration's shape

    for entries in hosts.values():
        for entry in entries:
            PrivateHost.parse(entry)


def _pin(pin: str) -> None:
    if pin and not _PIN.match(pin):
        raise ValueError('must look like "sha256:" and 64 hex digits: `pegboard plugins hash NAME` prints it')


def _blocks(blocks: list[Block]) -> None:
    for block in blocks:
        try:
            SpecifierSet(block.versions)
        except InvalidSpecifier as error:
            raise ValueError(f'{block.versions!r} is not a version range: write one such as ">=1.4,<1.4.3"') from error
        if not block.versions.strip():
            raise ValueError('a block names its versions, such as ">=1.4,<1.4.3"; for all, set enabled = false')
        if not block.reason.strip():
            raise ValueError("a block says its reason: whoever meets it wants to know")


PLUGIN_CHECKS: Mapping[str, Callable[[Any], None]] = {"pin": _pin, "blocked": _blocks}
"""Of what `[plugins.<name>]` says to the kernel, by key."""

CHECKS: Mapping[str, Mapping[str, Callable[[Any], None]]] = {
    "database": {"url": _database, "app_url": _database, "system_url": _database},
    "http": {"allowed_origins": _origins, "trusted_proxies": _proxies},
    "mail": {"sender": _sender, "link": _link},
    "outbound": {"private_hosts": _private_hosts},
    "redis": {"url": _redis},
    "secrets": {"master_key": _master_key, "earlier_master_keys": _master_keys},
}
"""By section and field; each raises ValueError with the reason. None of them shows the value: it is a secret."""
