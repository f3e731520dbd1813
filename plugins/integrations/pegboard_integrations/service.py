"""Taking webhooks in, once each."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from pegboard_sdk import Record, UnitOfWork
from pegboard_sdk.connectors import Connector
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard_integrations import schemas
from pegboard_integrations.errors import ConnectorNotFound, ConnectorNotSetUp, DeliveryIdReused, DeliveryNotFound
from pegboard_integrations.events import WebhookReceived
from pegboard_integrations.permissions import DELIVERY_REPLAY
from pegboard_integrations.repository import DeliveryRepository, digest

__all__ = ("InboxService",)


class InboxService:
    """The inbox of all connectors."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._deliveries = DeliveryRepository(uow)

    async def receive(self, provider: str, headers: Mapping[str, str], body: bytes) -> schemas.Receipt:
        """Verify a webhook, keep it and tell the others, in one transaction: it takes effect once however often it is
        sent.

        Header names are lower case; `body` is raw, as it was signed.

        Raises:
            ConnectorNotFound: no enabled plugin brings this connector.
            ConnectorNotSetUp: its secret is not in the vault.
            SignatureInvalid: it is not signed with that secret.
            DeliveryUnreadable: it is signed and can't be read.
            DeliveryIdReused: its id came before with another content.
        """
        connector = self._connector(provider)
        secret = await self._uow.secret(connector.secret, of=connector)
        if secret is None:
            raise ConnectorNotSetUp(
                f"Webhooks of {provider} are not set up here: the administrator stores the signing secret by"
                f" `pegboard secrets set {connector.secret}`.",
                retry_after=300,
            )
        delivery = connector.verify(headers, body, secret)
        delivery_id = await self._deliveries.insert(provider, delivery)
        if delivery_id is None:
            return await self._known(provider, delivery.id, digest(delivery))
        await self._uow.emit(WebhookReceived(delivery_id=delivery_id, provider=provider, event=delivery.event))
        await self._uow.audit(
            "integrations:webhook.receive",
            object_type="webhook_delivery",
            object_id=delivery_id,
            after={"provider": provider, "event": delivery.event, "delivery_id": delivery.id},
        )
        return schemas.Receipt(id=delivery_id, status="accepted")

    async def _known(self, provider: str, delivery_id: str, content: bytes) -> schemas.Receipt:
        known = await self._deliveries.find(provider, delivery_id)
        if known is None or known["digest"] != content:
            raise DeliveryIdReused("A delivery with this id and another content was taken in before; this one was not.")
        return schemas.Receipt(id=known["id"], status="duplicate")

    async def replay(self, delivery_id: UUID) -> schemas.Delivery:
        """Have a delivery take effect again: its event is told once more, with the next `replay` number.

        Raises:
            DeliveryNotFound: there is none with this id.
        """
        row = await self._deliveries.count_replay(delivery_id)
        if row is None:
            raise _not_found()
        await self._uow.emit(
            WebhookReceived(
                delivery_id=delivery_id, provider=row["provider"], event=row["event"], replay=row["replays"]
            )
        )
        await self._uow.audit(
            DELIVERY_REPLAY,
            object_type="webhook_delivery",
            object_id=delivery_id,
            before={"replays": row["replays"] - 1},
            after={"replays": row["replays"]},
        )
        return _delivery(row)

    async def get(self, delivery_id: UUID) -> schemas.DeliveryDetail:
        """A delivery with its payload.

        Raises:
            DeliveryNotFound: there is none with this id.
        """
        row = await self._deliveries.get(delivery_id)
        if row is None:
            raise _not_found()
        return schemas.DeliveryDetail(**msgspec.structs.asdict(_delivery(row)), payload=msgspec.Raw(row["payload"]))

    async def page(
        self, provider: str | None, event: str | None, limit: int, cursor: str | None
    ) -> Page[schemas.Delivery]:
        """Deliveries, newest first.

        Raises:
            InvalidCursor: the cursor is not this list's.
        """
        position = decode_cursor(cursor, (datetime, UUID))
        before = (position[0], position[1]) if position else None
        rows = await self._deliveries.page(provider, event, before, limit + 1)
        following = encode_cursor(rows[limit - 1]["created_at"], rows[limit - 1]["id"]) if len(rows) > limit else None
        return Page([_delivery(row) for row in rows[:limit]], following)

    async def connectors(self) -> list[schemas.Connector]:
        """The programs whose webhooks can be taken in, and whether each is set up."""
        return [
            schemas.Connector(
                name=connector.name,
                url=f"/api/v1/integrations/webhooks/{connector.name}",
                secret=connector.secret,
                ready=await self._uow.secret(connector.secret, of=connector) is not None,
            )
            for connector in self._uow.extensions("connectors")
        ]

    def _connector(self, provider: str) -> Connector:
        for connector in self._uow.extensions("connectors"):
            if connector.name == provider:
                return connector
        raise ConnectorNotFound(f"No enabled plugin takes webhooks of {provider!r}.")


def _not_found() -> DeliveryNotFound:
    return DeliveryNotFound("There is no such delivery; old ones are removed after the retention time.")


def _delivery(row: Record) -> schemas.Delivery:
    return schemas.Delivery(
        id=row["id"],
        provider=row["provider"],
        delivery_id=row["delivery_id"],
        event=row["event"],
        received_at=row["created_at"],
        replays=row["replays"],
    )
