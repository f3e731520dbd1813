"""Access tokens: signed JWTs (RFC 7519, RFC 9068) that say who acts, in which session and tenant, with which roles."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pegboard_sdk.errors import Unauthorized
from pegboard_sdk.ids import new_id

from pegboard.identity.keys import KeyRing

__all__ = ("AUDIENCE", "MAX_LENGTH", "AccessToken", "TokenInvalid", "Tokens")

AUDIENCE = "pegboard"
_ALGORITHM = "EdDSA"
_TYPE = "at+jwt"
MAX_LENGTH = 4096
_CLOCK_SKEW = 30
"""Seconds that the clock of the machine which signed a token may be ahead of ours."""


class TokenInvalid(Unauthorized):
    """The access token is not one of ours, or has expired."""

    code = "auth.token_invalid"

    def __init__(self) -> None:
        super().__init__("The access token is not valid or has expired: refresh it, or log in again.")


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token's claims. `sub` is the account, `tid` the tenant, `sid` the session; times are Unix seconds.

    `auth_time` is when the account last proved who it is, `amr` how (RFC 8176); tokens of machines have neither, but
    the client's id and the scopes (RFC 9068), by spaces: they carry no more than these.
    """

    iss: str
    aud: str
    sub: UUID
    tid: UUID
    sid: UUID
    roles: list[str]
    auth_time: int | None = None
    amr: list[str] = []
    client_id: UUID | None = None
    scope: str | None = None
    iat: int
    exp: int
    jti: UUID


class Tokens:
    """Signs and verifies access tokens. `ttl` in seconds."""

    def __init__(self, keys: KeyRing, *, issuer: str, ttl: int) -> None:
        self._keys = keys
        self.issuer = issuer
        self.ttl = ttl

    def sign(
        self,
        *,
        account_id: UUID,
        tenant_id: UUID,
        session_id: UUID,
        roles: Sequence[str],
        authenticated_at: int | None = None,
        methods: Sequence[str] = (),
        scope: str | None = None,
        ttl: int | None = None,
    ) -> str:
        """A token for the account that is good for `ttl` seconds, `auth.access_ttl` unless given. `authenticated_at` in
        Unix seconds. With `scope` it is a client's: the account is the client.
        """
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": str(account_id),
            "tid": str(tenant_id),
            "sid": str(session_id),
            "roles": list(roles),
            "iat": now,
            "exp": now + (self.ttl if ttl is None else ttl),
            "jti": str(new_id()),
        }
        if authenticated_at is not None:
            claims |= {"auth_time": authenticated_at, "amr": list(methods)}
        if scope is not None:
            claims |= {"client_id": str(account_id), "scope": scope}
        key = self._keys.signing
        return jwt.encode(claims, key.private, algorithm=_ALGORITHM, headers={"kid": key.kid, "typ": _TYPE})

    async def verify(self, token: str) -> AccessToken:
        """The claims of a token whose signature, issuer, audience and times are right.

        Raises:
            TokenInvalid: anything about it is wrong. It doesn't say what.
        """
        key = await self._key(token)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"], "verify_iat": False},
            )
            access = msgspec.convert(claims, AccessToken)
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise TokenInvalid from error
        if access.iat > time.time() + _CLOCK_SKEW:
            raise TokenInvalid
        return access

    async def _key(self, token: str) -> Ed25519PublicKey:
        """The key that the token's header names. The header chooses nothing else: algorithm and type are ours."""
        if len(token) > MAX_LENGTH:
            raise TokenInvalid
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise TokenInvalid from error
        kid = header.get("kid")
        if header.get("alg") != _ALGORITHM or header.get("typ") != _TYPE or not isinstance(kid, str):
            raise TokenInvalid
        key = await self._keys.find(kid)
        if key is None:
            raise TokenInvalid
        return key
