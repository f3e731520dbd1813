"""Addresses of the database: the administrator gives one, those of the roles *app* and *system* follow from it."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from pegboard.config.checks import read_master_key
from pegboard.config.model import Config

__all__ = ("APP", "OWNER", "SYSTEM", "DatabaseUrls", "derive_password", "derive_url", "master_key_bytes", "user_of")

OWNER = "pegboard_owner"
APP = "pegboard_app"
SYSTEM = "pegboard_system"


class DatabaseUrls(msgspec.Struct, frozen=True):
    """Where each role connects to. The URLs hold passwords, so `repr` doesn't show them.

    `owner` is `database.url` as configured, the owner's or an administrator's; the others are derived from it unless
    configured.
    """

    owner: str
    app: str
    system: str

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The three URLs.

        Raises:
            ValueError: `database.url` or `secrets.master_key` is missing or not readable.
        """
        owner = config.database.url.reveal()
        if not owner:
            raise ValueError("database.url is not set: set it, or use `pegboard up`, which starts a server.")
        app = config.database.app_url.reveal()
        system = config.database.system_url.reveal()
        if not (app and system):
            key = master_key_bytes(config)
            app = app or derive_url(owner, APP, key)
            system = system or derive_url(owner, SYSTEM, key)
        return cls(owner=owner, app=app, system=system)

    def __iter__(self) -> Iterator[str]:
        return iter((self.owner, self.app, self.system))

    def __repr__(self) -> str:
        return "DatabaseUrls(***)"


def master_key_bytes(config: Config) -> bytes:
    """The master key's 32 bytes.

    Raises:
        ValueError: it is not set, or not 32 bytes in hex or base64.
    """
    text = config.secrets.master_key.reveal().strip()
    if not text:
        raise ValueError("secrets.master_key is not set: 32 random bytes in base64 or hex.")
    try:
        return read_master_key(text)
    except ValueError as error:
        raise ValueError(f"secrets.master_key {error}") from error


def derive_password(master_key: bytes, role: str) -> str:
    """The password of one of our roles: every process that has the master key knows it, and it is stored nowhere."""
    return hmac.digest(master_key, f"postgres-role:{role}".encode(), hashlib.sha256).hex()


def derive_url(url: str, role: str, master_key: bytes) -> str:
    """`url` with `role` and its derived password as the user. TCP and Unix-socket (`?host=/path`) URLs.

    Raises:
        ValueError: not a PostgreSQL URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("the database's URL must start with postgresql://")
    host = parts.netloc.rpartition("@")[2]
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in ("user", "password")]
    netloc = f"{quote(role)}:{derive_password(master_key, role)}@{host}"
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query, safe="/", quote_via=quote), ""))


def user_of(url: str) -> str:
    """The user that a URL names, or an empty string."""
    parts = urlsplit(url)
    user = unquote(parts.netloc.rpartition("@")[0].partition(":")[0])
    return user or dict(parse_qsl(parts.query)).get("user", "")
