"""Receipts: what was kept, exported or dropped when a plugin was uninstalled, signed by the platform.

The signature (Ed25519) is over a line that says what it is for and the receipt in one certain form of JSON. The keys
are those that sign access tokens: everybody finds the public ones at `/.well-known/jwks.json`, and the line keeps one
from being taken for the other.
"""

import base64
import getpass
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from pegboard_sdk.access import Principal

from pegboard.identity.keys import KeyRing, SigningKey
from pegboard.plugins.processes import node_name

__all__ = (
    "Action",
    "PluginReceipt",
    "ReceiptSignature",
    "ReceiptSigner",
    "SignedReceipt",
    "find_receipts",
    "now",
    "read_receipt",
    "sign",
    "signer_of",
    "store_receipt",
    "verify_receipt",
)

_PURPOSE = b"pegboard plugin receipt\n"

Action = Literal["keep", "export", "purge"]


class ReceiptSigner(msgspec.Struct, frozen=True, kw_only=True):
    """Who uninstalled. `account_id` is an account's; on the command line it is the platform, and `user` the system's
    user.
    """

    kind: str
    account_id: UUID | None
    user: str | None
    node: str


class PluginReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a plugin's data.

    `tables` are rows by table. `dropped` is what is gone from the database, identities by kind; `removed` the kernel's
    rows that were the plugin's, by kind; `tombstones` how many records of it stay readable; `secrets` the names of
    those that were the plugin's. `files` are SHA-256 hashes by file of the export.
    """

    id: UUID
    plugin: str
    version: str
    distribution: str
    action: Action
    at: datetime
    by: ReceiptSigner
    migrations: Sequence[str]
    tables: Mapping[str, int]
    dropped: Mapping[str, Sequence[str]] = {}
    removed: Mapping[str, int] = {}
    tombstones: int = 0
    secrets: Sequence[str] = ()
    files: Mapping[str, str] = {}


class ReceiptSignature(msgspec.Struct, frozen=True, kw_only=True):
    """Over the receipt. `value` is in base64 without padding, for URLs."""

    key_id: str
    value: str
    algorithm: str = "EdDSA"


class SignedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as it is stored and written to a file."""

    receipt: PluginReceipt
    signature: ReceiptSignature

    def to_json(self) -> bytes:
        """The file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class _Unread(msgspec.Struct, frozen=True):
    """A file of which nothing is believed yet; what a newer release may have added counts for the signature."""

    receipt: dict[str, Any]
    signature: ReceiptSignature


def signer_of(principal: Principal) -> ReceiptSigner:
    """Who acts, here and now."""
    user = getpass.getuser() if principal.kind == "system" else None
    return ReceiptSigner(kind=principal.kind, account_id=principal.account_id, user=user, node=node_name())


def now() -> datetime:
    """Receipts tell seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def sign(receipt: PluginReceipt, key: SigningKey) -> SignedReceipt:
    """The receipt with its signature."""
    value = key.private.sign(_signed(msgspec.to_builtins(receipt)))
    return SignedReceipt(receipt=receipt, signature=ReceiptSignature(key_id=key.kid, value=_encode(value)))


async def store_receipt(connection: Any, signed: SignedReceipt) -> None:
    """Write it down, in the transaction of what it tells of; the connection is the owner's or the system role's."""
    await connection.execute(
        "INSERT INTO kernel_plugin_receipts (id, plugin, action, receipt, key_id, signature)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        signed.receipt.id,
        signed.receipt.plugin,
        signed.receipt.action,
        _canonical(msgspec.to_builtins(signed.receipt)).decode(),
        signed.signature.key_id,
        _decode(signed.signature.value),
    )


async def find_receipts(connection: Any, plugin: str | None = None) -> list[SignedReceipt]:
    """All receipts, or a plugin's, oldest first."""
    rows = await connection.fetch(
        "SELECT receipt, key_id, signature FROM kernel_plugin_receipts WHERE $1::text IS NULL OR plugin = $1"
        " ORDER BY id",
        plugin,
    )
    return [
        SignedReceipt(
            receipt=msgspec.json.decode(row["receipt"], type=PluginReceipt),
            signature=ReceiptSignature(key_id=row["key_id"], value=_encode(row["signature"])),
        )
        for row in rows
    ]


def read_receipt(path: Path) -> _Unread:
    """The receipt in a file, of which nothing is believed yet.

    Raises:
        ValueError: the file is none.
        OSError: it can't be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Unread)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not a receipt: {error}") from error


async def verify_receipt(keys: KeyRing, unread: _Unread) -> SignedReceipt:
    """The receipt, once its signature is proven to be this platform's.

    Raises:
        ValueError: it isn't, or something in the receipt was changed.
    """
    key = await keys.find(unread.signature.key_id)
    if key is None or unread.signature.algorithm != "EdDSA":
        raise ValueError(f"the key {unread.signature.key_id} is not one of this platform's")
    try:
        key.verify(_decode(unread.signature.value), _signed(unread.receipt))
    except (InvalidSignature, ValueError) as error:
        raise ValueError("the signature does not fit: the receipt was changed, or is another platform's") from error
    return SignedReceipt(
        receipt=msgspec.convert(unread.receipt, PluginReceipt, strict=False), signature=unread.signature
    )


def _signed(receipt: dict[str, Any]) -> bytes:
    return _PURPOSE + _canonical(receipt)


def _canonical(receipt: dict[str, Any]) -> bytes:
    """Without spaces, keys in the order of their characters. There are no fractions in it, which JSON can write in
    several ways.
    """
    return msgspec.json.encode(receipt, order="sorted")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
