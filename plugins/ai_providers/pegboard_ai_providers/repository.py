"""The plugin's queries."""

from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID

from pegboard_sdk import Record, UnitOfWork, new_id
from pegboard_sdk.ai import TokenUsage

__all__ = ("UsageRepository",)

_SETTLE = """
WITH settled AS (
    UPDATE ai_providers_usage
       SET state = $3, prompt_tokens = $4, completion_tokens = $5, estimated = $6
     WHERE tenant_id = $1 AND id = $2 AND state = 'reserved'
    RETURNING account_id, day, reserved_tokens, provider, model
), counted AS (
    UPDATE ai_providers_quotas q
       SET used_tokens = q.used_tokens + $4 + $5, reserved_tokens = q.reserved_tokens - s.reserved_tokens
      FROM settled s
     WHERE q.tenant_id = $1 AND q.account_id = s.account_id AND q.day = s.day
)
SELECT account_id, provider, model FROM settled
"""

_EXPIRED = """
SELECT id, account_id, day, reserved_tokens FROM ai_providers_usage
 WHERE tenant_id = $1 AND state = 'reserved' AND expires_at < now()
 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""


class UsageRepository:
    """Usage rows and the days' counters."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def reserve(self, account_id: UUID, *, tokens: int, limit: int) -> date | None:
        """Set tokens of today aside; None where the day's limit does not allow it. Gives the day (UTC).

        The counter's row is locked until the transaction ends: requests of one account count one after the other.
        """
        return await self._uow.fetchval(
            "INSERT INTO ai_providers_quotas AS q (id, tenant_id, account_id, day, reserved_tokens)"
            " SELECT $1::uuid, $2::uuid, $3::uuid, (now() AT TIME ZONE 'UTC')::date, $4::bigint WHERE $4 <= $5::bigint"
            " ON CONFLICT (tenant_id, account_id, day) DO UPDATE"
            " SET reserved_tokens = q.reserved_tokens + excluded.reserved_tokens"
            " WHERE q.used_tokens + q.reserved_tokens + excluded.reserved_tokens <= $5"
            " RETURNING day",
            new_id(),
            self._uow.tenant_id,
            account_id,
            tokens,
            limit,
        )

    async def note_exhausted(self, account_id: UUID) -> date | None:
        """Note that today's tokens did not suffice. Gives the day (UTC), the first time."""
        return await self._uow.fetchval(
            "INSERT INTO ai_providers_quotas AS q (id, tenant_id, account_id, day, exhausted_at)"
            " VALUES ($1, $2, $3, (now() AT TIME ZONE 'UTC')::date, now())"
            " ON CONFLICT (tenant_id, account_id, day) DO UPDATE SET exhausted_at = excluded.exhausted_at"
            " WHERE q.exhausted_at IS NULL RETURNING day",
            new_id(),
            self._uow.tenant_id,
            account_id,
        )

    async def insert(
        self, account_id: UUID, *, provider: str, model: str, day: date, tokens: int, lease: float
    ) -> UUID:
        """A usage row in the state `reserved`, which is lost after `lease` seconds."""
        usage_id = new_id()
        await self._uow.execute(
            "INSERT INTO ai_providers_usage"
            " (id, tenant_id, account_id, provider, model, day, reserved_tokens, request_id, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))",
            usage_id,
            self._uow.tenant_id,
            account_id,
            provider,
            model,
            day,
            tokens,
            self._uow.request_id,
            lease,
        )
        return usage_id

    async def renew(self, usage_id: UUID, lease: float) -> None:
        """Have a reservation last `lease` seconds from now."""
        await self._uow.execute(
            "UPDATE ai_providers_usage SET expires_at = now() + make_interval(secs => $3)"
            " WHERE tenant_id = $1 AND id = $2 AND state = 'reserved'",
            self._uow.tenant_id,
            usage_id,
            lease,
        )

    async def settle(
        self, usage_id: UUID, state: Literal["settled", "failed", "lost"], usage: TokenUsage, *, estimated: bool
    ) -> Record | None:
        """End a reservation and count what was used, once: None where it was ended before. Gives account, provider and
        model.
        """
        return await self._uow.fetchrow(
            _SETTLE, self._uow.tenant_id, usage_id, state, usage.prompt_tokens, usage.completion_tokens, estimated
        )

    async def expired(self, limit: int) -> Sequence[Record]:
        """Reservations whose process is gone, locked."""
        return await self._uow.fetch(_EXPIRED, self._uow.tenant_id, limit)

    async def today(self, account_id: UUID) -> Record | None:
        """An account's counter of today."""
        return await self._uow.fetchrow(
            "SELECT used_tokens, reserved_tokens FROM ai_providers_quotas"
            " WHERE tenant_id = $1 AND account_id = $2 AND day = (now() AT TIME ZONE 'UTC')::date",
            self._uow.tenant_id,
            account_id,
        )

    async def page(self, account_id: UUID, before: UUID | None, limit: int) -> Sequence[Record]:
        """An account's usage rows, newest first: their ids sort by time."""
        return await self._uow.fetch(
            "SELECT id, provider, model, state, prompt_tokens, completion_tokens, estimated, created_at"
            " FROM ai_providers_usage"
            " WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
            self._uow.tenant_id,
            account_id,
            before,
            limit,
        )
