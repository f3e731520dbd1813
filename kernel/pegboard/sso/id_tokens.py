"""Verifying ID tokens (OpenID Connect Core 1.0, 3.1.3.7)."""

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from pegboard.sso.errors import ProviderAnswerInvalid

if TYPE_CHECKING:
    from pegboard.sso.issuers import Issuers
    from pegboard.work import SteppedWork

__all__ = ("ALGORITHMS", "verify_id_token")

_HASHES = {
    "RS256": "sha256", "RS384": "sha384", "RS512": "sha512",
    "PS256": "sha256", "PS384": "sha384", "PS512": "sha512",
    "ES256": "sha256", "ES384": "sha384", "ES512": "sha512",
    "EdDSA": "sha512",
}  # fmt: skip
ALGORITHMS = tuple(_HASHES)
"""Signatures by a private key only: `none` proves nothing, and under HS256 a public key could be taken as the secret
(RFC 8725, 2.1).
"""

LEEWAY = 60
"""Seconds that clocks may differ."""

MAX_TOKEN = 32_768


async def verify_id_token(
    uow: "SteppedWork",
    issuers: "Issuers",
    token: str,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    nonce_optional: bool = False,
    begun_at: float,
    access_token: str | None,
) -> dict[str, Any]:
    """The claims of a token that `issuer` made for `client_id`, in answer to the request with `nonce`. Where that is
    optional, a token may have none, but not another's.

    `begun_at` (Unix seconds) is when the log-in began: an older token answers another one. `access_token` is what came
    with it: `at_hash`, where it is there, must fit.

    Raises:
        ProviderAnswerInvalid: it is not; `reason` says what is wrong.
        OutboundFailed: the issuer's keys can't be had.
    """
    import jwt

    if len(token) > MAX_TOKEN:
        raise ProviderAnswerInvalid("id_token: too long")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise ProviderAnswerInvalid("id_token: malformed") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in _HASHES:
        raise ProviderAnswerInvalid("id_token: alg")
    if "crit" in header:
        raise ProviderAnswerInvalid("id_token: crit")
    key = await issuers.key(uow, issuer, kid, algorithm)
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise ProviderAnswerInvalid(f"id_token: {_reason(error)}") from error
    audience = claims["aud"]
    party = claims.get("azp")
    if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (None, client_id):
        raise ProviderAnswerInvalid("id_token: azp")
    if claims["iat"] < begun_at - LEEWAY:
        raise ProviderAnswerInvalid("id_token: iat")
    if not (nonce_optional and "nonce" not in claims):
        _check_nonce(claims.get("nonce"), nonce)
    at_hash = claims.get("at_hash")
    if at_hash is not None and at_hash != _half_hash(access_token or "", _HASHES[algorithm]):
        raise ProviderAnswerInvalid("id_token: at_hash")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
        raise ProviderAnswerInvalid("id_token: sub")
    return claims


def _check_nonce(found: Any, wanted: str) -> None:
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(), wanted.encode()):
        raise ProviderAnswerInvalid("id_token: nonce")


def _half_hash(text: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _reason(error: Exception) -> str:
    """What is wrong, without anything of the token."""
    import jwt

    reasons: dict[type[Exception], str] = {
        jwt.InvalidIssuerError: "iss",
        jwt.InvalidAudienceError: "aud",
        jwt.ExpiredSignatureError: "exp",
        jwt.ImmatureSignatureError: "iat",
        jwt.InvalidSignatureError: "signature",
        jwt.MissingRequiredClaimError: "claims",
    }
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), "malformed")
