"""Secrets of a HashiCorp-Vault-compatible server (Vault, OpenBao): its key-value engine, version 2, over HTTP."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

__all__ = ("VaultServer",)

_TIMEOUT = 5.0
_FORM = "write vault:MOUNT/PATH#FIELD, such as vault:secret/pegboard/redis#url (vault:A/B//PATH#FIELD for a mount A/B)"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Versioned(msgspec.Struct):
    data: dict[str, Any] | None


class _Answer(msgspec.Struct):
    """What `GET /v1/<mount>/data/<path>` answers with, as far as we read it."""

    data: _Versioned


class VaultServer:
    """Reads secrets while settings are decoded, before there is an event loop or a database.

    Where the server is, and as whom to ask it, is in the variables that its own tools read: `VAULT_ADDR`, `VAULT_TOKEN`
    or `VAULT_TOKEN_FILE` (what an agent keeps fresh), and where needed `VAULT_NAMESPACE` and `VAULT_CACERT`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._read: dict[tuple[str, str], dict[str, Any]] = {}

    def read(self, target: str) -> str:
        """The text of a field: `MOUNT/PATH#FIELD`, the field `value` unless given. Always the newest version.

        Raises:
            ValueError: there is no such secret, or the server can't be asked; says what to do.
        """
        location, _, field = target.partition("#")
        mount, separator, path = location.partition("//" if "//" in location else "/")
        if not mount or not separator or not path.strip("/"):
            raise ValueError(f"names no secret of a vault server: {_FORM}")
        known = (mount, path)
        if known not in self._read:
            self._read[known] = self._ask(mount, path)
        secret, field = self._read[known], field or "value"
        if field not in secret:
            there = ", ".join(sorted(secret)) or "none"
            raise ValueError(f"the vault's secret {mount}/{path} has no field {field}: it has {there}")
        if not isinstance(secret[field], str):
            raise ValueError(f"the vault's field {mount}/{path}#{field} is not text")
        return secret[field]

    def _ask(self, mount: str, path: str) -> dict[str, Any]:
        address = self._address()
        url = f"{address}/v1/{quote(mount)}/data/{quote(path)}"
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        if namespace := self._environ.get("VAULT_NAMESPACE"):
            headers["X-Vault-Namespace"] = namespace
        try:
            # Proxies of the environment are not for this: the token is for the server alone.
            with httpx.Client(timeout=_TIMEOUT, trust_env=False, verify=self._trust()) as client:
                answer = client.get(url, headers=headers)
        except httpx.HTTPError as error:
            raise ValueError(f"the vault server {address} can't be asked: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            raise ValueError(_refusal(answer.status_code, address, f"{mount}/{path}"))
        try:
            versioned = msgspec.json.decode(answer.content, type=_Answer).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ValueError(
                f"the vault's {mount} did not answer as a key-value engine of version 2 does: enable one, or move the"
                " secret to one"
            ) from None
        return versioned.data or {}

    def _address(self) -> str:
        address = self._environ.get("VAULT_ADDR", "").rstrip("/")
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("refers to a vault server: set VAULT_ADDR to its address, such as https://vault:8200")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(
                f"the address in VAULT_ADDR is {address}, where the token and the secrets would travel in clear: use"
                " https, or an agent on this machine"
            )
        return address

    def _token(self) -> str:
        if token := self._environ.get("VAULT_TOKEN", "").strip():
            return token
        if not (name := self._environ.get("VAULT_TOKEN_FILE")):
            raise ValueError("refers to a vault server: set VAULT_TOKEN, or VAULT_TOKEN_FILE to the file that holds it")
        try:
            return Path(name).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {name} of VAULT_TOKEN_FILE can't be read: {error}") from error

    def _trust(self) -> ssl.SSLContext | bool:
        if not (bundle := self._environ.get("VAULT_CACERT")):
            return True
        try:
            return ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise ValueError(f"the file {bundle} of VAULT_CACERT can't be read: {error.strerror or error}") from error


def _refusal(status: int, address: str, secret: str) -> str:
    if status == 403:
        return f"the vault server {address} refused the token, or its policy does not let it read {secret}"
    if status == 404:
        return f"the vault server {address} has no secret {secret}, or its newest version was deleted"
    if status == 503:
        return f"the vault server {address} is sealed or under maintenance: unseal it and start again"
    if 300 <= status < 400:
        return f"{address} is a vault server on standby ({status}): set VAULT_ADDR to the cluster's own address"
    return f"the vault server {address} answered {status} for {secret}"
