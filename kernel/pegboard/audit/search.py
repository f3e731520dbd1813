"""Searching the audit trail (`pegboard_sdk.services.AuditLog`)."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.services import AuditEntryView, AuditLog, AuditOutcome, Service
from pegboard_sdk.work import Record, UnitOfWork

__all__ = ("SERVICES", "AuditSearch", "first_id_at")

_CLOCK_SKEW = 60
"""Seconds that the clock of a machine which made an entry's id may be from the database's."""

_COLUMNS = (
    "id, occurred_at, actor_kind, actor_id, action, object_type, object_id,"
    " before::text AS before, after::text AS after, outcome, reason, request_id"
)


class AuditSearch(AuditLog):
    """The kernel's implementation of `AuditLog`. Every query ends in an index that begins with the tenant."""

    async def search(
        self,
        uow: UnitOfWork,
        *,
        actor_id: UUID | None = None,
        action: str | None = None,
        object_type: str | None = None,
        object_id: UUID | str | None = None,
        outcome: AuditOutcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[AuditEntryView]:
        """The tenant's entries, newest first; see `AuditLog.search`."""
        conditions: list[str] = ["tenant_id = $1"]
        values: list[Any] = [uow.tenant_id]

        def where(condition: str, value: Any) -> None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))

        if actor_id is not None:
            where("actor_id = {}", actor_id)
        if action is not None:
            where("action = {}", action)
        if object_type is not None:
            where("object_type = {}", object_type)
        if object_id is not None:
            where("object_id = {}", str(object_id))
        if outcome is not None:
            where("outcome = {}", outcome)
        if since is not None:
            where("occurred_at >= {}", _utc(since))
            where("id >= {}", first_id_at(_utc(since).timestamp() - _CLOCK_SKEW))
        if until is not None:
            where("occurred_at < {}", _utc(until))
            where("id < {}", first_id_at(_utc(until).timestamp() + _CLOCK_SKEW))
        if (after := decode_cursor(cursor, [UUID])) is not None:
            where("id < {}", after[0])
        values.append(limit + 1)
        sql = (
            f"SELECT {_COLUMNS} FROM kernel_audit_entries WHERE {' AND '.join(conditions)}"  # noqa: S608  # fixed texts
            f" ORDER BY id DESC LIMIT ${len(values)}"
        )
        rows = await uow.fetch(sql, *values)
        items = [_view(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)


def _utc(moment: datetime) -> datetime:
    """The moment in UTC; at the ends of the calendar, where that has no name, as near as can be."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def first_id_at(seconds: float) -> UUID:
    """The least UUIDv7 of a Unix time: ids sort by time, so this turns a time into a place in the index."""
    milliseconds = max(0, min(int(seconds * 1000), 2**48 - 1))
    return UUID(int=milliseconds << 80)


def _view(row: Record) -> AuditEntryView:
    return AuditEntryView(
        id=row["id"],
        occurred_at=row["occurred_at"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        action=row["action"],
        object_type=row["object_type"],
        object_id=row["object_id"],
        before=_fields(row["before"]),
        after=_fields(row["after"]),
        outcome=row["outcome"],
        reason=row["reason"],
        request_id=row["request_id"],
    )


def _fields(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


SERVICES = (Service(AuditLog, AuditSearch()),)
