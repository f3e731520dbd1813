"""The keys that sign access tokens: Ed25519, made on the first start, kept as vault envelopes, published as a JWKS."""

import asyncio
import base64
import hashlib
import time
from typing import Any

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pegboard_sdk.ids import new_id

from pegboard.database.pool import Database
from pegboard.vault.vault import Vault

__all__ = ("JsonWebKey", "JsonWebKeySet", "KeyRing", "SigningKey", "reseal_signing_keys")

_RELOAD_INTERVAL = 1.0
"""Seconds: a token may name any key it likes, so an unknown one asks the database at most this often."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('pegboard:signing_keys', 0))"
_SELECT = """
SELECT kid, public_key, private_key, retired_at IS NULL AS signs FROM kernel_signing_keys
ORDER BY created_at DESC, id DESC
"""
_INSERT = "INSERT INTO kernel_signing_keys (id, kid, public_key, private_key, key_id) VALUES ($1, $2, $3, $4, $5)"
log = structlog.get_logger("pegboard.identity")


class JsonWebKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key that verifies access tokens (RFC 8037)."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "EdDSA"
    use: str = "sig"


class JsonWebKeySet(msgspec.Struct, frozen=True):
    """All keys that access tokens may be signed with (RFC 7517)."""

    keys: list[JsonWebKey]


class SigningKey(msgspec.Struct, frozen=True):
    """The key that signs now."""

    kid: str
    private: Ed25519PrivateKey


class KeyRing:
    """The installation's keys: the newest signs, all verify. Another process's is found when a token names it."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._public: dict[str, Ed25519PublicKey] = {}
        self._signing: SigningKey | None = None
        self._loaded_at = 0.0
        self._loading = asyncio.Lock()

    @property
    def signing(self) -> SigningKey:
        """The key that signs now. `load` comes first."""
        if self._signing is None:
            raise RuntimeError("the signing keys are not loaded: start the authenticator first")
        return self._signing

    def public(self, kid: str) -> Ed25519PublicKey | None:
        """The key with this id, if it is known here."""
        return self._public.get(kid)

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """As `public`, and the database is asked for keys that were made since."""
        key = self._public.get(kid)
        if key is None and time.monotonic() - self._loaded_at >= _RELOAD_INTERVAL:
            await self.load()
            key = self._public.get(kid)
        return key

    def published(self) -> JsonWebKeySet:
        """The public keys, as other programs read them."""
        return JsonWebKeySet([JsonWebKey(kid=kid, x=_base64(_raw(key))) for kid, key in self._public.items()])

    async def load(self) -> None:
        """Read the keys; make the first one where there is none. Many processes may start at once: one makes it.

        Raises:
            VaultError: the newest key was sealed under another master key, or changed.
        """
        async with self._loading:
            self._loaded_at = time.monotonic()
            async with self._database.system_transaction() as connection:
                rows = await connection.fetch(_SELECT)
                if not any(row["signs"] for row in rows):
                    await connection.execute(_LOCK)
                    rows = await connection.fetch(_SELECT)
                    if not any(row["signs"] for row in rows):
                        await self._make(connection)
                        rows = await connection.fetch(_SELECT)
            self._take(rows)

    async def _make(self, connection: Any) -> None:
        private = Ed25519PrivateKey.generate()
        public = _raw(private.public_key())
        kid = _thumbprint(public)
        envelope = self._vault.encrypt(private.private_bytes_raw(), associated_data=_row(kid))
        await connection.execute(_INSERT, new_id(), kid, public, envelope, self._vault.key_id)
        log.info("signing_key.made", kid=kid)

    def _take(self, rows: list[Any]) -> None:
        newest = next(row for row in rows if row["signs"])
        if self._signing is None or self._signing.kid != newest["kid"]:
            raw = self._vault.decrypt(newest["private_key"], associated_data=_row(newest["kid"]))
            self._signing = SigningKey(newest["kid"], Ed25519PrivateKey.from_private_bytes(raw))
        self._public = {row["kid"]: Ed25519PublicKey.from_public_bytes(row["public_key"]) for row in rows}


async def reseal_signing_keys(connection: Any, vault: Vault) -> int:
    """Bring the signing keys under the current master key, over a *system* connection in a transaction; gives how many.

    The keys stay the same, so tokens that they signed stay good.

    Raises:
        VaultError: one can't be opened.
    """
    rows = await connection.fetch(
        "SELECT id, kid, private_key FROM kernel_signing_keys WHERE key_id <> $1 FOR UPDATE", vault.key_id
    )
    for row in rows:
        sealed = vault.rotate(row["private_key"], associated_data=_row(row["kid"]))
        await connection.execute(
            "UPDATE kernel_signing_keys SET private_key = $2, key_id = $3 WHERE id = $1",
            row["id"],
            sealed,
            vault.key_id,
        )
    return len(rows)


def _row(kid: str) -> bytes:
    return b"signing-key\x00" + kid.encode()


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _thumbprint(public: bytes) -> str:
    """The key's id is what it is: the SHA-256 thumbprint of its JWK (RFC 7638, RFC 8037 appendix A.3)."""
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64(public)}"}}'
    return _base64(hashlib.sha256(canonical.encode()).digest())
