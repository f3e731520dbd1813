"""Job payloads that hold what nobody may read in the database: an envelope of the vault instead of the content."""

import base64
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import msgspec
from pegboard_sdk.ids import new_id

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("Sealed", "seal", "unseal")

T = TypeVar("T", bound=msgspec.Struct)


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Content in an envelope (base64) that opens only in its tenant, under its `id`."""

    id: UUID
    envelope: str


def seal(runtime: "Runtime", tenant_id: UUID, content: msgspec.Struct) -> Sealed:
    """A payload with `content`."""
    payload_id = new_id()
    envelope = runtime.vault.encrypt(msgspec.json.encode(content), associated_data=_bound(tenant_id, payload_id))
    return Sealed(id=payload_id, envelope=base64.b64encode(envelope).decode())


def unseal(runtime: "Runtime", tenant_id: UUID, sealed: Sealed, type: type[T]) -> T:
    """The content of a payload.

    Raises:
        VaultError: its master key is not known any more, or it was changed.
    """
    text = runtime.vault.decrypt(base64.b64decode(sealed.envelope), associated_data=_bound(tenant_id, sealed.id))
    return msgspec.json.decode(text, type=type)


def _bound(tenant_id: UUID, payload_id: UUID) -> bytes:
    return b"kernel_jobs.payload:" + tenant_id.bytes + payload_id.bytes
