"""Every query."""

from uuid import UUID

from pegboard_sdk import Record, UnitOfWork, new_id
from pegboard_sdk.pagination import fetch_page, json_time, page_sql

__all__ = ("GreetingRepository",)

_LIST = page_sql(
    "SELECT item, g.id FROM hello_greetings g,"
    " LATERAL (SELECT g.id, g.account_id, g.gig_id, g.text,"
    f" {json_time('g.delivered_at')} AS delivered_at, {json_time('g.created_at')} AS created_at) item"
    " WHERE g.tenant_id = $2 AND g.account_id = $3 AND ($4::uuid IS NULL OR g.id < $4)"
    " ORDER BY g.id DESC",
    keys=("id",),
)


class GreetingRepository:
    """Greetings of the unit of work's tenant."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def insert(self, account_id: UUID, gig_id: UUID | None, text: str) -> Record | None:
        """Write a greeting; None where the gig already has one."""
        return await self._uow.fetchrow(
            "INSERT INTO hello_greetings (id, tenant_id, account_id, gig_id, text) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (tenant_id, gig_id) DO NOTHING RETURNING *",
            new_id(),
            self._uow.tenant_id,
            account_id,
            gig_id,
            text,
        )

    async def deliver(self, greeting_id: UUID) -> Record | None:
        """Note that a greeting was delivered; None where it was before."""
        return await self._uow.fetchrow(
            "UPDATE hello_greetings SET delivered_at = now()"
            " WHERE tenant_id = $1 AND id = $2 AND delivered_at IS NULL RETURNING account_id",
            self._uow.tenant_id,
            greeting_id,
        )

    async def page(self, account_id: UUID, before: UUID | None, limit: int) -> bytes:
        """An account's greetings, newest first, as JSON."""
        return await fetch_page(self._uow, _LIST, limit, self._uow.tenant_id, account_id, before)
