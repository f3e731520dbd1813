"""Codes of authenticator apps (RFC 6238, RFC 4226): six digits, thirty seconds, SHA-1, as all apps have them."""

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote, urlencode

__all__ = ("DIGITS", "PERIOD", "code_at", "new_seed", "otpauth_uri", "seed_text", "step_at", "step_of")

PERIOD = 30
"""Seconds that a code is shown."""

DIGITS = 6
_SEED_BYTES = 20
_DRIFT = 1
"""Steps that a clock may be off, either way (RFC 6238, 5.2)."""


def new_seed() -> bytes:
    """A random seed, as long as the digest (RFC 4226, 4)."""
    return secrets.token_bytes(_SEED_BYTES)


def seed_text(seed: bytes) -> str:
    """The seed as people type it into an app."""
    return base64.b32encode(seed).decode().rstrip("=")


def otpauth_uri(seed: bytes, *, issuer: str, account: str) -> str:
    """What an app reads from a QR code (Key URI Format)."""
    issuer = issuer.replace(":", " ")
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    parameters = {"secret": seed_text(seed), "issuer": issuer, "digits": DIGITS, "period": PERIOD}
    return f"otpauth://totp/{label}?{urlencode(parameters, quote_via=quote)}"


def step_at(now: float) -> int:
    """The step that `now` (Unix seconds) is in."""
    return int(now) // PERIOD


def code_at(seed: bytes, step: int) -> str:
    """The code of a step (RFC 4226, 5.3)."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(seed: bytes, code: str, *, now: float, after: int) -> int | None:
    """The step, later than `after`, whose code this is, as far as a clock may be off; None: it is none of them."""
    current = step_at(now)
    found = None
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(code_at(seed, step).encode(), code.encode()) and step > after:
            found = step
    return found
