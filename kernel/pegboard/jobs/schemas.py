"""Jobs and events as an administrator sees them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from pegboard.jobs.states import JobState

__all__ = ("EventSummary", "JobDetail", "JobSummary")


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list. `error` is the last failure's, also of a job that is tried again."""

    id: UUID
    tenant_id: UUID
    plugin: str
    name: str
    state: JobState
    attempts: int
    max_attempts: int
    run_at: datetime
    created_at: datetime
    finished_at: datetime | None
    error: str | None


class JobDetail(JobSummary, frozen=True, kw_only=True):
    """A job. `event_id` is the event's that it delivers to a handler; `worker` runs it now; `request_id` began it."""

    payload: dict[str, Any]
    result: Any
    event_id: UUID | None
    dedupe_key: str | None
    fence: int
    started_at: datetime | None
    heartbeat_at: datetime | None
    worker: str | None
    trace: str | None
    request_id: str | None


class EventSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the outbox. `relayed_at` is when its handlers' jobs were made; null: it waits."""

    id: UUID
    tenant_id: UUID
    name: str
    version: int
    payload: dict[str, Any]
    request_id: str | None
    created_at: datetime
    relayed_at: datetime | None
