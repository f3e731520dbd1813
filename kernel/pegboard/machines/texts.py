"""What the keys and secrets of machines look like: `pb_<8 characters>_<secret><checksum>`.

The eight characters are public: they name the key in lists and find it in the database. The secret is 256 random bits.
The checksum lets scanners tell a key from what looks like one, and refuses a mistyped one without asking anybody.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from typing import Literal, Self

import msgspec

__all__ = ("API_KEY", "CLIENT_SECRET", "MachineText", "TextKind", "digest_of", "same_digest")

TextKind = Literal["api_key", "client_secret"]

API_KEY = "pb_"  # pragma: allowlist secret
CLIENT_SECRET = "pbc_"  # pragma: allowlist secret  # noqa: S105  # what such a secret begins with

_BEGINNINGS: dict[TextKind, str] = {"api_key": API_KEY, "client_secret": CLIENT_SECRET}
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PUBLIC = 8
_SECRET = 43
"""Characters of base 62 that hold 256 bits."""
_CHECKSUM = 6
"""Characters of base 62 that hold 32 bits."""


class MachineText(msgspec.Struct, frozen=True, kw_only=True):
    """A key or secret whose checksum is right. Its `repr` shows the public part only."""

    kind: TextKind
    public_id: str
    secret: str

    @classmethod
    def make(cls, kind: TextKind) -> Self:
        """A new one, at random."""
        public_id = "".join(secrets.choice(_ALPHABET) for _ in range(_PUBLIC))
        return cls(kind=kind, public_id=public_id, secret=_base62(secrets.randbits(256), _SECRET))

    @classmethod
    def parse(cls, text: str, kind: TextKind) -> Self | None:
        """What `text` says, or None where it is not of this kind or its checksum is wrong."""
        start = len(_BEGINNINGS[kind])
        if len(text) != start + _PUBLIC + 1 + _SECRET + _CHECKSUM or not text.isascii():
            return None
        public_id, secret = text[start : start + _PUBLIC], text[start + _PUBLIC + 1 : -_CHECKSUM]
        found = cls(kind=kind, public_id=public_id, secret=secret)
        return found if (public_id + secret).isalnum() and found.reveal() == text else None

    def reveal(self) -> str:
        """The text, for its owner's eyes."""
        body = f"{_BEGINNINGS[self.kind]}{self.public_id}_{self.secret}"
        return body + _base62(zlib.crc32(body.encode()), _CHECKSUM)

    def __repr__(self) -> str:
        return f"MachineText({_BEGINNINGS[self.kind]}{self.public_id}_…)"


def digest_of(text: MachineText) -> bytes:
    """What is kept of a key or secret, sealed: enough to know it again, of no use to who reads it. 256 random bits need
    no slow hash.
    """
    return hashlib.sha256(text.reveal().encode()).digest()


def same_digest(one: bytes, other: bytes) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one, other)


def _base62(number: int, width: int) -> str:
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits)).rjust(width, _ALPHABET[0])
