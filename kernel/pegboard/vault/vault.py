"""Envelopes: a fresh key per text, itself sealed under the master key.

An envelope is `version (1) · master key id (8) · nonce (12) · sealed data key (48) · nonce (12) · sealed text`. Both
seals are AES-256-GCM and authenticate the associated data, which names the row, so an envelope opens only where it
belongs. Changing the master key re-seals the data keys; the texts stay as they are.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pegboard.config.checks import read_master_key
from pegboard.config.model import Config
from pegboard.database.urls import master_key_bytes
from pegboard.vault.errors import EnvelopeDamaged, MasterKeyUnknown

__all__ = ("Vault",)

_VERSION = b"\x01"
_KEY_ID = slice(1, 9)
_OUTER_NONCE = slice(9, 21)
_DATA_KEY = slice(21, 69)
_INNER_NONCE = slice(69, 81)
_TEXT = slice(81, None)


class _MasterKey:
    """A master key is never used itself: from it a key is derived for each purpose (HKDF, RFC 5869)."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError(f"a master key is 32 bytes, not {len(key)}")
        self._key = key
        self._derived: dict[str, bytes] = {}
        self.id = self.derive("vault.key_id")[:8]
        self.seal = AESGCM(self.derive("vault.seal"))

    def derive(self, purpose: str) -> bytes:
        derived = self._derived.get(purpose)
        if derived is None:
            hkdf = HKDF(SHA256(), length=32, salt=None, info=f"pegboard:{purpose}".encode())
            derived = self._derived[purpose] = hkdf.derive(self._key)
        return derived


class Vault:
    """Seals under the current master key; opens what that or an earlier one sealed."""

    def __init__(self, current: bytes, earlier: Sequence[bytes] = ()) -> None:
        self._current = _MasterKey(current)
        self._keys = {key.id: key for key in (*map(_MasterKey, earlier), self._current)}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The vault of `secrets.master_key` and, to open only, `secrets.earlier_master_keys`.

        Raises:
            ValueError: the key is missing, or one is not 32 bytes in hex or base64.
        """
        earlier = [read_master_key(key.reveal()) for key in config.secrets.earlier_master_keys]
        return cls(master_key_bytes(config), earlier)

    @property
    def key_id(self) -> str:
        """The current master key's id. It tells nothing of the key."""
        return self._current.id.hex()

    def encrypt(self, text: bytes, *, associated_data: bytes) -> bytes:
        """An envelope of `text` that opens only with the same `associated_data`."""
        data_key, nonce = AESGCM.generate_key(256), os.urandom(12)
        sealed_text = nonce + AESGCM(data_key).encrypt(nonce, text, associated_data)
        return self._head(data_key, associated_data) + sealed_text

    def decrypt(self, envelope: bytes, *, associated_data: bytes) -> bytes:
        """The text of an envelope.

        Raises:
            MasterKeyUnknown: its master key is not configured.
            EnvelopeDamaged: it was changed, or was sealed with other associated data.
        """
        data_key = self._data_key(envelope, associated_data)
        try:
            return AESGCM(data_key).decrypt(envelope[_INNER_NONCE], envelope[_TEXT], associated_data)
        except (InvalidTag, ValueError) as error:
            raise EnvelopeDamaged from error

    def rotate(self, envelope: bytes, *, associated_data: bytes) -> bytes:
        """The same envelope under the current master key. The text is not opened.

        Raises:
            MasterKeyUnknown, EnvelopeDamaged: as `decrypt`.
        """
        data_key = self._data_key(envelope, associated_data)
        return self._head(data_key, associated_data) + envelope[_INNER_NONCE.start :]

    def derive(self, purpose: str, message: bytes) -> bytes:
        """HMAC-SHA256 of `message` under a key that is derived from the current master key for `purpose`."""
        return hmac.digest(self._current.derive(purpose), message, hashlib.sha256)

    def derived_key(self, purpose: str, key_id: str | None = None) -> bytes:
        """The 32 bytes that follow, for `purpose`, from the current master key or from the one called `key_id`.

        Raises:
            MasterKeyUnknown: no configured master key is called so.
        """
        if key_id is None:
            return self._current.derive(purpose)
        key = next((one for one in self._keys.values() if one.id.hex() == key_id), None)
        if key is None:
            raise MasterKeyUnknown(key_id)
        return key.derive(purpose)

    def _head(self, data_key: bytes, bound: bytes) -> bytes:
        nonce = os.urandom(12)
        head = _VERSION + self._current.id + nonce
        return head + self._current.seal.encrypt(nonce, data_key, head + bound)

    def _data_key(self, envelope: bytes, bound: bytes) -> bytes:
        if envelope[:1] != _VERSION:
            raise EnvelopeDamaged
        key = self._keys.get(envelope[_KEY_ID])
        if key is None:
            raise MasterKeyUnknown(envelope[_KEY_ID].hex())
        head = envelope[: _DATA_KEY.start]
        try:
            return key.seal.decrypt(envelope[_OUTER_NONCE], envelope[_DATA_KEY], head + bound)
        except (InvalidTag, ValueError) as error:
            raise EnvelopeDamaged from error
