"""The secrets of one log-in on its way.

The state goes through the browser and the provider, and here only its digest is kept. PKCE's verifier and the nonce
follow from it by a key of ours, so they need not be kept at all, and who sees the state can't work them out.
"""

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Self
from uuid import UUID

import msgspec

from pegboard.sso.errors import SsoStateInvalid

if TYPE_CHECKING:
    from pegboard.vault.vault import Vault

__all__ = ("FlowSecrets", "challenge_of", "digest", "new_secret", "tenant_of_state")


class FlowSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """`challenge` is what PKCE's `verifier` is shown to the provider as (RFC 7636, S256)."""

    state: str
    verifier: str
    challenge: str
    nonce: str

    @classmethod
    def of(cls, vault: "Vault", state: str) -> Self:
        """What follows from a state."""
        verifier = _text(vault.derive("sso.verifier", state.encode()))
        return cls(
            state=state,
            verifier=verifier,
            challenge=challenge_of(verifier),
            nonce=_text(vault.derive("sso.nonce", state.encode())),
        )

    @classmethod
    def new(cls, vault: "Vault", tenant_id: UUID) -> Self:
        """Those of a new log-in. The state names the tenant: providers come back to one address for all of them."""
        return cls.of(vault, f"{tenant_id.hex}.{new_secret()}")

    def __repr__(self) -> str:
        return "FlowSecrets(…)"


def challenge_of(verifier: str) -> str:
    """What a verifier is shown as beforehand (RFC 7636, 4.2, S256)."""
    return _text(digest(verifier))


def new_secret() -> str:
    """256 random bits as text."""
    return _text(secrets.token_bytes(32))


def digest(text: str) -> bytes:
    """What is kept of a secret that is random itself."""
    return hashlib.sha256(text.encode()).digest()


def tenant_of_state(state: str) -> UUID:
    """Which tenant's log-in a state is of, as it says itself: whether it is, its digest there tells.

    Raises:
        SsoStateInvalid: it is no state.
    """
    try:
        return UUID(hex=state.partition(".")[0])
    except ValueError:
        raise SsoStateInvalid from None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
