"""Recovery codes: ten of sixty random bits, each good once, for who has lost everything else."""

import hashlib
import secrets

__all__ = ("CODES", "LOW", "digest_of", "new_codes")

CODES = 10
LOW = 3
"""With no more than this many left, it is time for new ones."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # pragma: allowlist secret
"""Crockford's base 32: nothing that looks like something else."""

_LOOKS_LIKE = str.maketrans("oil", "011", "- ")
_GROUPS = 3


def new_codes() -> list[str]:
    """Fresh codes, in groups of four characters."""

    def group() -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(4))

    return ["-".join(group() for _ in range(_GROUPS)) for _ in range(CODES)]


def digest_of(code: str) -> bytes:
    """A code's SHA-256, however it is written: with or without dashes, in any case, an `o` for a zero."""
    return hashlib.sha256(code.lower().translate(_LOOKS_LIKE).encode()).digest()
