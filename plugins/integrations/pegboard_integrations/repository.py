"""The inbox's queries."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pegboard_sdk import Record, UnitOfWork, new_id
from pegboard_sdk.connectors import Delivery

__all__ = ("DeliveryRepository",)


class DeliveryRepository:
    """Webhooks that came in."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def insert(self, provider: str, delivery: Delivery) -> UUID | None:
        """Keep a delivery; None if it came before. A second one that comes at the same time waits for the first to
        commit.
        """
        return await self._uow.fetchval(
            "INSERT INTO integrations_deliveries (id, tenant_id, provider, delivery_id, event, payload, digest)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)"
            " ON CONFLICT (tenant_id, provider, delivery_id) DO NOTHING RETURNING id",
            new_id(),
            self._uow.tenant_id,
            provider,
            delivery.id,
            delivery.event,
            delivery.payload,
            digest(delivery),
        )

    async def find(self, provider: str, delivery_id: str) -> Record | None:
        """A delivery by the sender's id: our id and the content's digest."""
        return await self._uow.fetchrow(
            "SELECT id, digest FROM integrations_deliveries"
            " WHERE tenant_id = $1 AND provider = $2 AND delivery_id = $3",
            self._uow.tenant_id,
            provider,
            delivery_id,
        )

    async def get(self, delivery_id: UUID) -> Record | None:
        """A delivery by our id, with its payload."""
        return await self._uow.fetchrow(
            "SELECT id, provider, delivery_id, event, replays, created_at, payload FROM integrations_deliveries"
            " WHERE tenant_id = $1 AND id = $2",
            self._uow.tenant_id,
            delivery_id,
        )

    async def count_replay(self, delivery_id: UUID) -> Record | None:
        """One more replay; None if there is no such delivery."""
        return await self._uow.fetchrow(
            "UPDATE integrations_deliveries SET replays = replays + 1 WHERE tenant_id = $1 AND id = $2"
            " RETURNING id, provider, delivery_id, event, replays, created_at",
            self._uow.tenant_id,
            delivery_id,
        )

    async def page(
        self, provider: str | None, event: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Record]:
        """Deliveries, newest first, after the keyset position `before`."""
        at, delivery_id = before or (None, None)
        return await self._uow.fetch(
            "SELECT id, provider, delivery_id, event, replays, created_at FROM integrations_deliveries"
            " WHERE tenant_id = $1 AND ($2::text IS NULL OR provider = $2) AND ($3::text IS NULL OR event = $3)"
            " AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))"
            " ORDER BY created_at DESC, id DESC LIMIT $6",
            self._uow.tenant_id,
            provider,
            event,
            at,
            delivery_id,
            limit,
        )

    async def delete_older(self, days: int, limit: int) -> int:
        """Remove at most `limit` deliveries older than `days`; gives how many."""
        tag = await self._uow.execute(
            "DELETE FROM integrations_deliveries WHERE tenant_id = $1 AND id IN ("
            "SELECT id FROM integrations_deliveries"
            " WHERE tenant_id = $1 AND created_at < now() - make_interval(days => $2) ORDER BY created_at LIMIT $3)",
            self._uow.tenant_id,
            days,
            limit,
        )
        return int(tag.rsplit(" ", 1)[-1])


def digest(delivery: Delivery) -> bytes:
    """What tells two contents apart."""
    return hashlib.sha256(delivery.event.encode() + b"\x00" + delivery.payload).digest()
