"""What issuers publish: their addresses (OpenID Connect Discovery 1.0) and keys (RFC 7517), remembered for a while."""

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from pegboard_sdk.outbound import OutboundAddressInvalid

from pegboard.sso.errors import ProviderAnswerInvalid

if TYPE_CHECKING:
    from jwt import PyJWK

    from pegboard.work import SteppedWork

__all__ = ("COOL_DOWN", "Issuers", "Metadata", "fetch_json")

MAX_AGE = 3600.0
"""How long addresses and keys are good for, in seconds: a key that was withdrawn is not trusted longer."""

COOL_DOWN = 60.0
"""Seconds between looks for a key that is not there: tokens with made-up key ids must not have us hammer an issuer."""

TIMEOUT = 10.0
MAX_BYTES = 512 * 1024


class Metadata(msgspec.Struct, frozen=True):
    """Of a discovery document, what is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Key(msgspec.Struct, frozen=True):
    """A public key; `algorithm` is the one that its issuer names for it, if any."""

    key: "PyJWK"
    algorithm: str | None


class _Known:
    """An issuer, as this process knows it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.metadata: Metadata | None = None
        self.metadata_at = 0.0
        self.keys: dict[str | None, list[_Key]] = {}
        self.keys_at = 0.0


class Issuers:
    """One per process."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    async def metadata(self, uow: "SteppedWork", issuer: str) -> Metadata:
        """The issuer's addresses. A document that names another issuer is refused (Discovery, 4.3): else whoever
        serves it could have another issuer's tokens taken for his.

        Raises:
            ProviderAnswerInvalid: there is none, or it is not right.
            OutboundFailed: the issuer can't be reached.
        """
        known = self._of(issuer)
        async with known.lock:
            return await self._metadata(uow, issuer, known)

    async def key(self, uow: "SteppedWork", issuer: str, kid: str | None, algorithm: str) -> "PyJWK":
        """The key by which a token with the header's `kid` and `algorithm` is verified.

        Keys that are not known are looked for anew, at most once in `COOL_DOWN` seconds.

        Raises:
            ProviderAnswerInvalid: the issuer has no such key.
            OutboundFailed: the issuer can't be reached.
        """
        known = self._of(issuer)
        async with known.lock:
            age = time.monotonic() - known.keys_at if known.keys_at else MAX_AGE
            if age >= MAX_AGE or (age >= COOL_DOWN and not _fitting(known, kid, algorithm)):
                metadata = await self._metadata(uow, issuer, known)
                known.keys = _usable(await fetch_json(uow, metadata.jwks_uri))
                known.keys_at = time.monotonic()
            fitting = _fitting(known, kid, algorithm)
        if len(fitting) != 1:
            raise ProviderAnswerInvalid("unknown key")
        return fitting[0]

    async def count_keys(self, uow: "SteppedWork", issuer: str) -> int:
        """How many keys for signatures the issuer publishes now.

        Raises:
            ProviderAnswerInvalid: its addresses or keys are not right.
            OutboundFailed: it can't be reached.
        """
        metadata = await self.metadata(uow, issuer)
        return sum(len(keys) for keys in _usable(await fetch_json(uow, metadata.jwks_uri)).values())

    def _of(self, issuer: str) -> _Known:
        return self._known.setdefault(issuer, _Known())

    async def _metadata(self, uow: "SteppedWork", issuer: str, known: _Known) -> Metadata:
        if known.metadata is not None and time.monotonic() - known.metadata_at < MAX_AGE:
            return known.metadata
        document = await fetch_json(uow, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            metadata = msgspec.convert(document, Metadata)
        except msgspec.ValidationError as error:
            raise ProviderAnswerInvalid("discovery document") from error
        if metadata.issuer != issuer:
            raise ProviderAnswerInvalid("discovery document of another issuer")
        for address in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
            metadata.userinfo_endpoint,
        ):
            if address is not None and urlsplit(address).scheme not in ("https", urlsplit(issuer).scheme):
                raise ProviderAnswerInvalid("discovery document leads from https to http")
        known.metadata, known.metadata_at = metadata, time.monotonic()
        return metadata


async def fetch_json(
    uow: "SteppedWork",
    url: str,
    *,
    token: str | None = None,
    form: bytes | None = None,
    authorization: str | None = None,
) -> Any:
    """What an address of a provider answers, as JSON. `form` is posted; `token` is an access token.

    Raises:
        ProviderAnswerInvalid: it answers with another status than 200, or not with JSON.
        OutboundFailed: it can't be reached.
    """
    headers = {"accept": "application/json"}
    if token is not None or authorization is not None:
        headers["authorization"] = authorization or f"Bearer {token}"
    if form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    method = "GET" if form is None else "POST"
    try:
        answer = await uow.outbound.request(
            method, url, headers=headers, body=form or b"", timeout=TIMEOUT, max_bytes=MAX_BYTES
        )
        if answer.status != 200:
            raise ProviderAnswerInvalid(f"status {answer.status} of {urlsplit(url).path}")
        return msgspec.json.decode(answer.body)
    except (OutboundAddressInvalid, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderAnswerInvalid(f"no JSON of {urlsplit(url).path}") from error


def _usable(document: Any) -> dict[str | None, list[_Key]]:
    """Public keys for signatures, by id. What isn't understood, or is secret (`oct`), is left out (RFC 7517, 5)."""
    from jwt import PyJWK
    from jwt.exceptions import InvalidKeyError, PyJWKError

    usable: dict[str | None, list[_Key]] = {}
    try:
        keys = msgspec.convert(document, _Keys).keys
    except msgspec.ValidationError as error:
        raise ProviderAnswerInvalid("keys") from error
    for key in keys:
        if key.get("use", "sig") != "sig" or key.get("kty") == "oct":
            continue
        try:
            usable.setdefault(key.get("kid"), []).append(_Key(PyJWK(key), key.get("alg")))
        except (PyJWKError, InvalidKeyError, ValueError, TypeError):
            continue
    return usable


def _fitting(known: _Known, kid: str | None, algorithm: str) -> "list[PyJWK]":
    candidates = known.keys.get(kid, []) if kid is not None else [key for keys in known.keys.values() for key in keys]
    return [candidate.key for candidate in candidates if _signs_by(candidate, algorithm)]


def _signs_by(candidate: _Key, algorithm: str) -> bool:
    """A key is used by the algorithm that it names, or one of its kind: never an elliptic curve's for RSA."""
    if candidate.algorithm is not None:
        return candidate.algorithm == algorithm
    kinds = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
    return kinds.get(algorithm[:2]) == candidate.key.key_type
