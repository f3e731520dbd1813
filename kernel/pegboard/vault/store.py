"""Setting, listing, removing and re-sealing secrets. As *system*: the platform's rows are no tenant's."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret

from pegboard.audit.writer import write_entry
from pegboard.vault.resealing import Envelopes
from pegboard.vault.vault import Vault

__all__ = ("SECRETS", "SECRET_NAME", "SecretStore", "SecretView", "secret_row")

SECRET_NAME = re.compile(r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")


def secret_row(tenant_id: UUID | None, name: str) -> bytes:
    """What a secret's envelope is bound to: its tenant (None: the platform) and name."""
    # A UUID's length is fixed and the name comes last, so no two rows give the same bytes.
    return b"secret\x00" + (b"platform\x00" if tenant_id is None else b"tenant\x00" + tenant_id.bytes) + name.encode()


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its text. No tenant: the platform's."""

    name: str
    tenant_id: UUID | None
    key_id: str
    created_at: datetime
    updated_at: datetime


class SecretStore:
    """The vault's rows, over a *system* connection in a transaction. Changes are audited, in the tenant of `actor`."""

    def __init__(self, connection: Any, vault: Vault, *, actor: Principal, request_id: str) -> None:
        self._connection = connection
        self._vault = vault
        self._actor = actor
        self._request_id = request_id

    async def set(self, name: str, secret: Secret, *, tenant_id: UUID | None) -> bool:
        """Store or replace a secret; True if it is new. `name` is `<plugin>.<snake_case>`.

        Raises:
            ValueError: not such a name.
        """
        if not SECRET_NAME.fullmatch(name):
            raise ValueError(f"not a secret's name: {name!r}; it is <plugin>.<snake_case>, such as payments.api_key")
        envelope = self._vault.encrypt(secret.reveal().encode(), associated_data=secret_row(tenant_id, name))
        new = await self._connection.fetchval(
            """
            INSERT INTO kernel_secrets (id, tenant_id, name, key_id, envelope) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, name) DO UPDATE SET key_id = excluded.key_id, envelope = excluded.envelope
            RETURNING xmax = 0
            """,
            new_id(),
            tenant_id,
            name,
            self._vault.key_id,
            envelope,
        )
        await self._audit("kernel:secret.set", name, tenant_id)
        return new

    async def remove(self, name: str, *, tenant_id: UUID | None) -> bool:
        """Remove a secret; False if there was none."""
        tag = await self._connection.execute(
            "DELETE FROM kernel_secrets WHERE name = $1 AND tenant_id IS NOT DISTINCT FROM $2", name, tenant_id
        )
        if tag != "DELETE 1":
            return False
        await self._audit("kernel:secret.remove", name, tenant_id)
        return True

    async def list(self, *, tenant_id: UUID | None) -> list[SecretView]:
        """The secrets of a tenant (None: the platform's), by name."""
        rows = await self._connection.fetch(
            """
            SELECT name, tenant_id, key_id, created_at, updated_at FROM kernel_secrets
            WHERE tenant_id IS NOT DISTINCT FROM $1 ORDER BY name
            """,
            tenant_id,
        )
        return [SecretView(**row) for row in rows]

    async def _audit(self, action: str, name: str, tenant_id: UUID | None) -> None:
        await write_entry(
            self._connection,
            self._actor,
            action,
            object_type="secret",
            object_id=name,
            after={"tenant_id": tenant_id},
            request_id=self._request_id,
        )


SECRETS = Envelopes(
    kind="secrets", table="kernel_secrets", column="envelope", reads=("tenant_id", "name"), bound=secret_row
)
