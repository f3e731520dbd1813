"""Challenges: what somebody has to answer next, in a token that they carry themselves.

The token is signed, so nothing is stored until it is answered; then its nonce is, so that it is good for one answer.
The authenticator of a passkey signs the token's digest, so the two belong together.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from pegboard.factors.errors import ChallengeInvalid

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

    from pegboard.vault.vault import Vault

__all__ = ("Challenges", "Claims", "Purpose", "passkey_challenge")

Purpose = Literal["sign_in", "passkey", "step_up", "register"]
_PREFIX = "pgc_"
_MAC = 32


class Claims(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a challenge is for. `methods` proved the first factor; `state` is what they stood on; times in Unix seconds.

    `account_id` is None where a passkey will tell whose it is.
    """

    purpose: Purpose
    nonce: bytes
    expires_at: int
    tenant_id: UUID
    account_id: UUID | None = None
    session_id: UUID | None = None
    methods: tuple[str, ...] = ()
    state: bytes = b""


class Challenges:
    """Makes and reads them; `ttl` is in seconds."""

    def __init__(self, vault: "Vault", *, ttl: int) -> None:
        self._vault = vault
        self.ttl = ttl

    def issue(
        self,
        purpose: Purpose,
        tenant_id: UUID,
        *,
        account_id: UUID | None = None,
        session_id: UUID | None = None,
        methods: tuple[str, ...] = (),
        state: bytes = b"",
    ) -> str:
        """A token for `purpose`."""
        claims = Claims(
            purpose=purpose,
            nonce=secrets.token_bytes(16),
            expires_at=int(time.time()) + self.ttl,
            tenant_id=tenant_id,
            account_id=account_id,
            session_id=session_id,
            methods=methods,
            state=state,
        )
        payload = msgspec.msgpack.encode(claims)
        return _PREFIX + base64.urlsafe_b64encode(payload + self._mac(payload)).rstrip(b"=").decode()

    def read(self, token: str, tenant_id: UUID, *purposes: Purpose) -> Claims:
        """What a token is for.

        Raises:
            ChallengeInvalid: it is not ours, too old, another tenant's, or for none of `purposes`.
        """
        try:
            text = token.removeprefix(_PREFIX)
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise ChallengeInvalid from error
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise ChallengeInvalid
        claims = msgspec.msgpack.decode(payload, type=Claims)
        if claims.purpose not in purposes or claims.tenant_id != tenant_id or claims.expires_at <= time.time():
            raise ChallengeInvalid
        return claims

    async def use(self, uow: "UnitOfWork", claims: Claims) -> None:
        """The challenge is answered, if the transaction commits: of two who answer it at once, the second waits and is
        refused.

        Raises:
            ChallengeInvalid: it was answered before.
        """
        tag = await uow.execute(
            """
            INSERT INTO kernel_used_challenges (tenant_id, nonce, expires_at) VALUES ($1, $2, to_timestamp($3))
            ON CONFLICT DO NOTHING
            """,
            uow.tenant_id,
            claims.nonce,
            claims.expires_at,
        )
        if tag != "INSERT 0 1":
            raise ChallengeInvalid

    def state(self, account_id: UUID, password_hash: str | None) -> bytes:
        """What a first factor stood on: with another password, a challenge from before is worth nothing."""
        return self._vault.derive("factors.state", account_id.bytes + (password_hash or "").encode())[:16]

    def _mac(self, payload: bytes) -> bytes:
        return self._vault.derive("factors.challenge", payload)


def passkey_challenge(token: str) -> bytes:
    """What an authenticator signs for a challenge."""
    return hashlib.sha256(token.encode()).digest()
