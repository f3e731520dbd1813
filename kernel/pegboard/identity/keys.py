"""The keys that sign access tokens: Ed25519, made on the first start, kept as vault envelopes, published as a JWKS.

Each is replaced by another in time (`key_rotation.py`) without anybody noticing.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pegboard_sdk.ids import new_id

from pegboard.database.pool import Database
from pegboard.vault.errors import VaultError
from pegboard.vault.resealing import Envelopes
from pegboard.vault.vault import Vault

__all__ = ("SIGNING_KEYS", "JsonWebKey", "JsonWebKeySet", "KeyRing", "SigningKey", "lock_signing_keys")

_RELOAD_INTERVAL = 1.0
"""Seconds: a token may name any key it likes, so an unknown one asks the database at most this often."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('pegboard:signing_keys', 0))"
# In seconds from now by the database's clock, so that all processes change over at the same moment. Not from the
# transaction's `now()`: one that waited for the lock began before the key was made, and would take it for a later one.
_SELECT = """
SELECT kid, public_key, private_key, retired_at IS NULL OR retired_at > statement_timestamp() AS signs,
       extract(epoch FROM signs_from - statement_timestamp())::double precision AS signs_in,
       extract(epoch FROM verifies_until - statement_timestamp())::double precision AS verifies_for
FROM kernel_signing_keys WHERE verifies_until IS NULL OR verifies_until > statement_timestamp()
ORDER BY signs_from DESC, id DESC
"""
_CHANGED = "SELECT EXISTS (SELECT FROM kernel_signing_keys WHERE changed_xid >= $1::text::xid8)"
_INSERT = """
INSERT INTO kernel_signing_keys (id, kid, public_key, private_key, key_id, signs_from, changed_xid)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), pg_current_xact_id())
"""
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


class _PublicKey(msgspec.Struct, frozen=True):
    key: Ed25519PublicKey
    until: float
    """`time.monotonic()` from which it verifies nothing any more."""


class KeyRing:
    """The installation's keys. One signs; the one before it verifies until its last token has expired; the next one is
    published before it signs. Changes are followed with the feed of revocations, at most a second late.

    `on_removed` is called when a key verifies nothing any more: what it has verified is to be forgotten.
    """

    def __init__(self, database: Database, vault: Vault, *, on_removed: Callable[[], None] | None = None) -> None:
        self._database = database
        self._vault = vault
        self._on_removed = on_removed
        self._public: dict[str, _PublicKey] = {}
        self._signers: list[tuple[float, SigningKey]] = []
        self._taken = 0
        self._loaded_at = 0.0
        self._loading = asyncio.Lock()

    @property
    def signing(self) -> SigningKey:
        """The key that signs now. `load` comes first."""
        now = time.monotonic()
        for signs_at, key in self._signers:
            if signs_at <= now:
                return key
        raise RuntimeError("the signing keys are not loaded: start the authenticator first")

    def public(self, kid: str) -> Ed25519PublicKey | None:
        """The key with this id, if it is known here and verifies."""
        found = self._public.get(kid)
        return found.key if found is not None and found.until > time.monotonic() else None

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """As `public`, and the database is asked for keys that were made since."""
        key = self.public(kid)
        if key is None and time.monotonic() - self._loaded_at >= _RELOAD_INTERVAL:
            await self.load()
            key = self.public(kid)
        return key

    def published(self) -> JsonWebKeySet:
        """The public keys, as other programs read them; the next one is among them before it signs."""
        now = time.monotonic()
        return JsonWebKeySet(
            [JsonWebKey(kid=kid, x=_base64(_raw(one.key))) for kid, one in self._public.items() if one.until > now]
        )

    async def load(self) -> None:
        """Read the keys; make the first one where there is none. Many processes may start at once: one makes it.

        Raises:
            VaultError: a key that signs was sealed under another master key, or changed.
        """
        async with self._loading:
            while True:
                self._loaded_at = time.monotonic()
                taken = self._taken
                rows = await self._read()
                if self._taken == taken:  # else the feed has brought newer ones meanwhile
                    self._take(rows)
                    return

    async def follow(self, connection: Any, horizon: int | None) -> None:
        """Read the keys anew where they have changed since `horizon`, a transaction id. `connection` is *system*'s."""
        if horizon is None or await connection.fetchval(_CHANGED, str(horizon)):
            self._take(await connection.fetch(_SELECT))

    async def make(self, connection: Any, *, after: float) -> str:
        """Make a key that signs from `after` seconds from now on, in the transaction of `connection`; gives its id."""
        private = Ed25519PrivateKey.generate()
        public = _raw(private.public_key())
        kid = _thumbprint(public)
        envelope = self._vault.encrypt(private.private_bytes_raw(), associated_data=_row(kid))
        await connection.execute(_INSERT, new_id(), kid, public, envelope, self._vault.key_id, after)
        log.info("signing_key.made", kid=kid, signs_in=after)
        return kid

    async def _read(self) -> list[Any]:
        async with self._database.system_transaction() as connection:
            rows = await connection.fetch(_SELECT)
            if not _can_sign(rows):
                await lock_signing_keys(connection)
                rows = await connection.fetch(_SELECT)
                if not _can_sign(rows):
                    await self.make(connection, after=0)
                    rows = await connection.fetch(_SELECT)
        return rows

    def _take(self, rows: list[Any]) -> None:
        self._taken += 1
        now = time.monotonic()
        known = {key.kid: key for _, key in self._signers}
        signers = [(now + row["signs_in"], known.get(row["kid"]) or self._open(row)) for row in rows if row["signs"]]
        self._signers = [(signs_at, key) for signs_at, key in signers if key is not None] or self._signers
        before, self._public = (
            self._public,
            {
                row["kid"]: _PublicKey(
                    Ed25519PublicKey.from_public_bytes(row["public_key"]),
                    float("inf") if row["verifies_for"] is None else now + row["verifies_for"],
                )
                for row in rows
            },
        )
        if self._on_removed is not None and before.keys() - self._public.keys():
            self._on_removed()

    def _open(self, row: Any) -> SigningKey | None:
        """The private half, or None where it can't be opened while another is there to sign: who changes the master key
        first tells every process the new one, and what a process can't sign it may still verify.
        """
        try:
            raw = self._vault.decrypt(row["private_key"], associated_data=_row(row["kid"]))
        except VaultError as error:
            if not self._signers:
                raise
            log.error("signing_key.unreadable", kid=row["kid"], error=str(error))
            return None
        return SigningKey(row["kid"], Ed25519PrivateKey.from_private_bytes(raw))


async def lock_signing_keys(connection: Any) -> None:
    """Be the only one who makes or retires keys, until the transaction of `connection` ends."""
    await connection.execute(_LOCK)


def _can_sign(rows: list[Any]) -> bool:
    return any(row["signs"] and row["signs_in"] <= 0 for row in rows)


def _row(kid: str) -> bytes:
    return b"signing-key\x00" + kid.encode()


SIGNING_KEYS = Envelopes(
    kind="signing keys", table="kernel_signing_keys", column="private_key", reads=("kid",), bound=_row
)


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _thumbprint(public: bytes) -> str:
    """The key's id is what it is: the SHA-256 thumbprint of its JWK (RFC 7638, RFC 8037 appendix A.3)."""
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64(public)}"}}'
    return _base64(hashlib.sha256(canonical.encode()).digest())
