"""Refresh tokens: 256 random bits, of which only the digest is stored."""

import base64
import hashlib
import secrets

from pegboard.vault.vault import Vault

__all__ = ("RefreshTokens",)

_PREFIX = "pgr_"
"""So that secret scanners know one when they see it."""


class RefreshTokens:
    """Makes the tokens of a family: the first at random, each other from its parent.

    A child is HMAC-SHA256 of its parent under a key that only the vault has. So the same parent gives the same child
    again, as the grace interval needs, though the child is stored nowhere; and who stole an old token can't work out
    the new one.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def first(self) -> str:
        """The first token of a family."""
        return _text(secrets.token_bytes(32))

    def child(self, parent: str) -> str:
        """The token that `parent` is exchanged for."""
        return _text(self._vault.derive("identity.refresh_child", parent.encode()))

    def digest(self, token: str) -> bytes:
        """What is stored of a token."""
        return hashlib.sha256(token.encode()).digest()


def _text(raw: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
