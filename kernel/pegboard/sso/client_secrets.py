"""How we prove to a provider's token endpoint that we are its client (OpenID Connect Core 1.0, 9)."""

import base64
import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote_plus

from pegboard_sdk.settings import Secret

from pegboard.config.sso import ProviderSettings
from pegboard.sso.errors import ProviderAnswerInvalid
from pegboard.sso.presets import facts_of, issuer_of

__all__ = ("client_proof",)

_APPLE_LIFETIME = 300


def client_proof(
    settings: ProviderSettings, secret: Secret, supported: Sequence[str]
) -> tuple[Mapping[str, str], str | None]:
    """What is added to the form, and the `Authorization` header. `supported` are the issuer's methods.

    Raises:
        ProviderAnswerInvalid: Apple's key can't be read.
    """
    text = _apple_secret(settings, secret) if settings.preset == "apple" else secret.reveal()
    if not text:  # a public client: PKCE is all that binds the code
        return {"client_id": settings.client_id}, None
    if facts_of(settings).posts_secret or "client_secret_basic" not in supported:
        return {"client_id": settings.client_id, "client_secret": text}, None
    # Both are form-encoded first (RFC 6749, 2.3.1).
    pair = f"{quote_plus(settings.client_id)}:{quote_plus(text)}"
    return {}, "Basic " + base64.b64encode(pair.encode()).decode()


def _apple_secret(settings: ProviderSettings, key: Secret) -> str:
    """Apple's client secret is a token that we sign with the key of the developer's account
    (developer.apple.com, "Creating a client secret").
    """
    import jwt

    now = int(time.time())
    claims = {
        "iss": settings.team_id,
        "iat": now,
        "exp": now + _APPLE_LIFETIME,
        "aud": issuer_of(settings),
        "sub": settings.client_id,
    }
    try:
        return jwt.encode(claims, key.reveal(), algorithm="ES256", headers={"kid": settings.key_id})
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ProviderAnswerInvalid("client_secret is no key of Apple's (.p8)") from error
