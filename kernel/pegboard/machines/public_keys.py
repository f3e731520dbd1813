"""Public keys of clients, as JSON Web Keys (RFC 7517): Ed25519, P-256 and RSA."""

import base64
import hashlib
from typing import Annotated, Any, Literal

import jwt
import msgspec
from pegboard_sdk.errors import FieldError, InvalidInput

__all__ = ("ALGORITHMS", "PublicKey", "algorithms_of", "load_key", "thumbprint")

ALGORITHMS = ("EdDSA", "ES256", "PS256", "RS256")
"""What clients may sign their assertions with. Which of them, the registered key decides: never the assertion."""

_RSA_BITS = 2048
_REQUIRED = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
_Text = Annotated[str, msgspec.Meta(max_length=1400, pattern="^[A-Za-z0-9_-]*$")]


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public JSON Web Key. Members that it may have besides are left out; a private key is refused."""

    kty: Literal["OKP", "EC", "RSA"]
    crv: Literal["Ed25519", "P-256", ""] = ""
    x: _Text = ""
    y: _Text = ""
    n: _Text = ""
    e: _Text = ""
    d: _Text = ""


def load_key(key: PublicKey) -> Any:
    """The key as `cryptography` has it.

    Raises:
        InvalidInput: it is private, incomplete, too short, or of a kind that is not taken.
    """
    if key.d:
        raise _refused("This is a private key: keep it, and register the public one.")
    try:
        loaded = jwt.PyJWK(msgspec.to_builtins(key), algorithm=algorithms_of(key)[0]).key
    except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
        raise _refused("This is no public key of Ed25519, P-256 or RSA as a JSON Web Key (RFC 7517).") from error
    if key.kty == "RSA" and loaded.key_size < _RSA_BITS:
        raise _refused(f"An RSA key has {_RSA_BITS} bits at least.")
    return loaded


def algorithms_of(key: PublicKey) -> tuple[str, ...]:
    """What may be signed with a key."""
    return {"OKP": ("EdDSA",), "EC": ("ES256",), "RSA": ("PS256", "RS256")}[key.kty]


def thumbprint(key: PublicKey) -> str:
    """The key's id: the SHA-256 thumbprint of its required members (RFC 7638)."""
    members = {name: getattr(key, name) for name in _REQUIRED[key.kty]}
    digest = hashlib.sha256(msgspec.json.encode(members)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused(detail: str) -> InvalidInput:
    return InvalidInput(detail, errors=[FieldError("/public_key", detail)])
