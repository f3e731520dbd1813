"""The administrator's queries over jobs and events. They see all tenants: each takes a connection or pool of the role
*system*.
"""

from typing import Any
from uuid import UUID

import msgspec

from pegboard.jobs.schemas import EventSummary, JobDetail, JobSummary
from pegboard.jobs.states import JobState

__all__ = ("find_event_page", "find_job", "find_job_page", "redrive_job")

_SUMMARY = "id, tenant_id, plugin, name, state, attempts, max_attempts, run_at, created_at, finished_at, error"
_DETAIL = (
    f"{_SUMMARY}, payload, result, event_id, dedupe_key, fence, started_at, heartbeat_at, worker, trace, request_id"
)
_EVENT = "id, tenant_id, name, version, payload, request_id, created_at, relayed_at"

_REDRIVE = """
UPDATE kernel_jobs
   SET state = 'queued', attempts = 0, run_at = now(), finished_at = NULL, updated_at = now()
 WHERE id = $1 AND state = 'dead'
RETURNING attempts
"""


class _Where:
    """Conditions that are asked for; values never go into the text."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._conditions = ["true"]

    def add(self, condition: str, value: Any) -> None:
        if value is not None:
            self.values.append(value)
            self._conditions.append(condition.format(f"${len(self.values)}"))

    def page(self, columns: str, table: str, limit: int) -> str:
        self.values.append(limit)
        conditions = " AND ".join(self._conditions)
        return f"SELECT {columns} FROM {table} WHERE {conditions} ORDER BY id DESC LIMIT ${len(self.values)}"  # noqa: S608


async def find_job_page(
    connection: Any,
    *,
    limit: int,
    before: UUID | None = None,
    state: JobState | None = None,
    name: str | None = None,
    plugin: str | None = None,
    tenant_id: UUID | None = None,
) -> list[JobSummary]:
    """Jobs, newest first; those made before the job `before`."""
    where = _Where()
    where.add("id < {}", before)
    where.add("state = {}", state)
    where.add("name = {}", name)
    where.add("plugin = {}", plugin)
    where.add("tenant_id = {}", tenant_id)
    rows = await connection.fetch(where.page(_SUMMARY, "kernel_jobs", limit), *where.values)
    return [JobSummary(**row) for row in rows]


async def find_job(connection: Any, job_id: UUID) -> JobDetail | None:
    """The job with this id."""
    row = await connection.fetchrow(f"SELECT {_DETAIL} FROM kernel_jobs WHERE id = $1", job_id)  # noqa: S608
    if row is None:
        return None
    fields = dict(row)
    fields["payload"] = msgspec.json.decode(fields["payload"])
    fields["result"] = None if fields["result"] is None else msgspec.json.decode(fields["result"])
    return JobDetail(**fields)


async def redrive_job(connection: Any, job_id: UUID) -> bool:
    """Queue a dead job again, with all its attempts. Whether it was dead.

    Raises:
        asyncpg.UniqueViolationError: an unfinished job holds its dedupe key.
    """
    return await connection.fetchval(_REDRIVE, job_id) is not None


async def find_event_page(
    connection: Any, *, limit: int, name: str | None = None, tenant_id: UUID | None = None, waiting: bool = False
) -> list[EventSummary]:
    """Events, newest first. `waiting`: only those that no relay has taken up yet."""
    where = _Where()
    where.add("name = {}", name)
    where.add("tenant_id = {}", tenant_id)
    table = "(SELECT * FROM kernel_events WHERE relayed_at IS NULL) AS waiting" if waiting else "kernel_events"
    rows = await connection.fetch(where.page(_EVENT, table, limit), *where.values)
    return [EventSummary(**{**row, "payload": msgspec.json.decode(row["payload"])}) for row in rows]
