"""Webhooks over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from litestar.params import RawBody
from pegboard_sdk import UnitOfWork
from pegboard_sdk.http import Controller, PathParameter, QueryParameter, Request, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_integrations.errors import (
    ConnectorNotFound,
    ConnectorNotSetUp,
    DeliveryIdReused,
    DeliveryNotFound,
    DeliveryUnreadable,
    SignatureInvalid,
)
from pegboard_integrations.permissions import DELIVERY_READ, DELIVERY_REPLAY
from pegboard_integrations.schemas import Connector, Delivery, DeliveryDetail, Receipt
from pegboard_integrations.service import InboxService

__all__ = ("DeliveryController", "WebhookController")

Provider = Annotated[str, PathParameter(description="The connector's name.")]

MAX_WEBHOOK = 25 * 1024 * 1024
"""GitHub's own limit for a payload, in bytes."""


class WebhookController(Controller):
    """Where other programs send to. Who sends proves it by the signature."""

    path = "/webhooks"

    @post(
        "/{provider:str}",
        public=True,
        idempotency="none",
        status=202,
        max_body=MAX_WEBHOOK,
        errors=(ConnectorNotFound, ConnectorNotSetUp, DeliveryIdReused, DeliveryUnreadable, SignatureInvalid),
    )
    async def receive_webhook(
        self, provider: Provider, body: RawBody, request: Request[Any, Any, Any], uow: UnitOfWork
    ) -> Receipt:
        """Take a webhook in. The same delivery again is answered `duplicate` and does nothing."""
        return await InboxService(uow).receive(provider, request.headers, body)


class DeliveryController(Controller):
    """The log of what came in, for administrators."""

    path = "/"

    @get("/connectors", permission=DELIVERY_READ)
    async def list_connectors(self, uow: UnitOfWork) -> Page[Connector]:
        """The programs whose webhooks can be taken in, and what is missing for it, all on one page."""
        return Page(await InboxService(uow).connectors())

    @get("/deliveries", permission=DELIVERY_READ)
    async def list_deliveries(
        self,
        uow: UnitOfWork,
        provider: Annotated[str | None, QueryParameter(max_length=64, description="Only this connector's.")] = None,
        event: Annotated[str | None, QueryParameter(max_length=100, description="Only this kind.")] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Delivery]:
        """Webhooks that came in, newest first."""
        return await InboxService(uow).page(provider, event, limit, cursor)

    @get("/deliveries/{delivery_id:uuid}", permission=DELIVERY_READ, errors=(DeliveryNotFound,))
    async def read_delivery(self, delivery_id: UUID, uow: UnitOfWork) -> DeliveryDetail:
        """A webhook with its payload."""
        return await InboxService(uow).get(delivery_id)

    @post("/deliveries/{delivery_id:uuid}/replay", permission=DELIVERY_REPLAY, status=202, errors=(DeliveryNotFound,))
    async def replay_delivery(self, delivery_id: UUID, uow: UnitOfWork) -> Delivery:
        """Have a webhook take effect again, after whoever handles it was mended."""
        return await InboxService(uow).replay(delivery_id)
