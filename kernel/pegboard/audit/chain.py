"""What an audit entry's seal is made of, and the signature over the last one.

A tenant's seals are a chain. With `‖` for bytes one after the other, and 32 zero bytes each before the first:

    hash(n) = SHA-256(hash(n-1) ‖ mac(n-1) ‖ content(n))
    mac(n)  = HMAC-SHA-256(key, hash(n))

The content is all columns of the entry and of its seal, so no byte of either can be changed alone. The key follows from
the master key, which the database doesn't have: who can write there can compute hashes, but no HMAC. Whoever has not
the key either, such as an auditor with an export, recomputes the hashes and checks the signature (Ed25519) of a head. A
seal whose master key is not configured any more is vouched for by each later one, which goes back to it by the hashes.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pegboard.vault.errors import MasterKeyUnknown
from pegboard.vault.vault import Vault

__all__ = ("ENTRY_COLUMNS", "ENTRY_FIELDS", "START", "AuditHead", "Seal", "SealKeys", "content_of", "encode", "head_of")

_CONTENT = "pegboard audit entry 1"
_HEAD = "pegboard audit head 1"

# As text that doesn't depend on a session's settings but for its time zone, which is UTC in all of ours.
_COLUMNS = {
    "id": "e.id::text",
    "tenant_id": "e.tenant_id::text",
    "occurred_at": "to_jsonb(e.occurred_at) #>> '{}'",
    "actor_kind": "e.actor_kind",
    "actor_id": "e.actor_id::text",
    "session_id": "e.session_id::text",
    "action": "e.action",
    "object_type": "e.object_type",
    "object_id": "e.object_id",
    "before": "e.before::text",
    "after": "e.after::text",
    "outcome": "e.outcome",
    "reason": "e.reason",
    "request_id": "e.request_id",
    "xid": "e.xid::text",
}
ENTRY_FIELDS = tuple(_COLUMNS)
"""The columns of an entry that a seal covers: all. A migration that adds one needs another version of the content."""
ENTRY_COLUMNS = ", ".join(f"{sql} AS {name}" for name, sql in _COLUMNS.items())
"""What to select from `kernel_audit_entries e` for `Seal.content_of`."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a chain. `sealed_at` is ISO 8601 in UTC, as PostgreSQL writes it in JSON."""

    number: int
    hash: bytes
    mac: bytes
    key_id: str
    sealed_at: str


START = Seal(number=0, hash=bytes(32), mac=bytes(32), key_id="", sealed_at="")
"""What the first seal of every chain follows on."""


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement that the tenant's chain has a seal `number` with this hash and HMAC (both in hexadecimal).

    `signature` is Ed25519's over `encode("pegboard audit head 1", …)` of the fields before it, `public_key` what
    verifies it (both in hexadecimal). Whoever keeps a head can tell later that nothing up to it was changed or removed.
    """

    tenant_id: str
    number: int
    hash: str
    mac: str
    key_id: str
    signed_at: str
    signature: str
    public_key: str = ""

    def message(self) -> bytes:
        """What is signed."""
        names = ("tenant_id", "number", "hash", "mac", "key_id", "signed_at")
        return encode(_HEAD, [(name, str(getattr(self, name))) for name in names])


class SealKeys:
    """The keys of seals and heads, which follow from the vault's master keys. The current one seals and signs."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._macs: dict[str, bytes | None] = {}
        self._signing: dict[str, Ed25519PrivateKey | None] = {}

    @property
    def key_id(self) -> str:
        """The current master key's id."""
        return self._vault.key_id

    def seal(self, before: Seal, entry: Any, *, sealed_at: str) -> Seal:
        """The seal of `entry` (a row of `ENTRY_COLUMNS`) that follows on `before`."""
        number = before.number + 1
        digest = self.hash(before, content_of(entry, number, self.key_id, sealed_at))
        mac = self.mac(digest, self.key_id)
        assert mac is not None
        return Seal(number=number, hash=digest, mac=mac, key_id=self.key_id, sealed_at=sealed_at)

    @staticmethod
    def hash(before: Seal, content: bytes) -> bytes:
        """The hash that a content has after the seal `before`."""
        return hashlib.sha256(before.hash + before.mac + content).digest()

    def mac(self, digest: bytes, key_id: str) -> bytes | None:
        """The HMAC of a hash under a master key; None where that is not configured."""
        if key_id not in self._macs:
            self._macs[key_id] = self._derived("audit.seal", key_id)
        key = self._macs[key_id]
        return None if key is None else hmac.digest(key, digest, "sha256")

    def sign(self, tenant_id: str, seal: Seal, *, signed_at: str) -> AuditHead:
        """The head of a chain whose last seal this is."""
        head = AuditHead(
            tenant_id=tenant_id, number=seal.number, hash=seal.hash.hex(), mac=seal.mac.hex(), key_id=self.key_id,
            signed_at=signed_at, signature="",
        )  # fmt: skip
        return self.published(
            msgspec.structs.replace(head, signature=self._private(self.key_id).sign(head.message()).hex())
        )

    def signed(self, head: AuditHead) -> bool | None:
        """Whether we signed the head; None where its master key is not configured."""
        private = self._private_or_none(head.key_id)
        if private is None:
            return None
        try:
            private.public_key().verify(bytes.fromhex(head.signature), head.message())
        except (InvalidSignature, ValueError):
            return False
        return True

    def published(self, head: AuditHead) -> AuditHead:
        """The head with the public key that verifies it, where we have that."""
        private = self._private_or_none(head.key_id)
        public = "" if private is None else private.public_key().public_bytes_raw().hex()
        return msgspec.structs.replace(head, public_key=public)

    def _private(self, key_id: str) -> Ed25519PrivateKey:
        private = self._private_or_none(key_id)
        if private is None:
            raise MasterKeyUnknown(key_id)
        return private

    def _private_or_none(self, key_id: str) -> Ed25519PrivateKey | None:
        if key_id not in self._signing:
            seed = self._derived("audit.head", key_id)
            self._signing[key_id] = None if seed is None else Ed25519PrivateKey.from_private_bytes(seed)
        return self._signing[key_id]

    def _derived(self, purpose: str, key_id: str) -> bytes | None:
        try:
            return self._vault.derived_key(purpose, key_id)
        except MasterKeyUnknown:
            return None


def content_of(entry: Any, number: int, key_id: str, sealed_at: str) -> bytes:
    """What is sealed: the entry (a row of `ENTRY_COLUMNS`) and its seal but for the hash and the HMAC."""
    fields = [("number", str(number)), ("key_id", key_id), ("sealed_at", sealed_at)]
    return encode(_CONTENT, fields + [(name, entry[name]) for name in ENTRY_FIELDS])


def head_of(row: Any) -> AuditHead:
    """The head in a row of `kernel_audit_heads`, `signed_at` as text."""
    return AuditHead(
        tenant_id=row["tenant_id"], number=row["number"], hash=row["hash"].hex(), mac=row["mac"].hex(),
        key_id=row["key_id"], signed_at=row["signed_at"], signature=row["signature"].hex(),
    )  # fmt: skip


def encode(purpose: str, fields: Sequence[tuple[str, str | None]]) -> bytes:
    """Fields as bytes that no other fields have: a line for the purpose, then `name:length:value` or `name:-` each, the
    length in bytes of UTF-8.
    """
    lines = [purpose.encode()]
    for name, value in fields:
        if value is None:
            lines.append(f"{name}:-".encode())
        else:
            text = value.encode()
            lines.append(b"%s:%d:%s" % (name.encode(), len(text), text))
    return b"\n".join(lines)
