"""What accounts used, and what a crash left unsettled."""

from uuid import UUID

from pegboard_sdk import Record, UnitOfWork
from pegboard_sdk.ai import TokenUsage
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard_ai_providers.repository import UsageRepository
from pegboard_ai_providers.schemas import Quota, Usage
from pegboard_ai_providers.service.metering import next_midnight, settle
from pegboard_ai_providers.settings import Settings

__all__ = ("UsageService",)


class UsageService:
    """What an account used."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._usage = UsageRepository(uow)

    async def quota(self, account_id: UUID) -> Quota:
        """An account's tokens of today."""
        row = await self._usage.today(account_id)
        return Quota(
            limit=self._uow.settings(Settings).daily_tokens,
            used=row["used_tokens"] if row else 0,
            reserved=row["reserved_tokens"] if row else 0,
            resets_at=next_midnight(),
        )

    async def page(self, account_id: UUID, limit: int, cursor: str | None) -> Page[Usage]:
        """An account's requests, newest first.

        Raises:
            InvalidCursor: the cursor is not this list's.
        """
        position = decode_cursor(cursor, (UUID,))
        rows = await self._usage.page(account_id, position[0] if position else None, limit + 1)
        following = encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
        return Page([_shown(row) for row in rows[:limit]], following)

    async def settle_lost(self, limit: int) -> int:
        """End reservations whose process is gone, counting all that was set aside: what it used can't be known. Gives
        how many.
        """
        rows = await self._usage.expired(limit)
        # Quotas are locked in one order, so that two of these can't wait for each other.
        for row in sorted(rows, key=lambda row: (row["account_id"], row["day"])):
            await settle(self._uow, row["id"], "lost", TokenUsage(row["reserved_tokens"], 0), estimated=True)
        return len(rows)


def _shown(row: Record) -> Usage:
    return Usage(
        id=row["id"],
        provider=row["provider"],
        model=row["model"],
        state=row["state"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        estimated=row["estimated"],
        created_at=row["created_at"],
    )
