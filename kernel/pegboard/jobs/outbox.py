"""Writing events and jobs in the caller's transaction: one statement each, and nothing else until it has committed."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from pegboard_sdk.events import Event
from pegboard_sdk.ids import new_id
from pegboard_sdk.jobs import ExternalJob, Job

from pegboard.telemetry.tracing import current_traceparent

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("insert_event", "insert_job")

_INSERT_EVENT = """
INSERT INTO kernel_events (id, tenant_id, name, version, payload, trace, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_INSERT_JOB = """
INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, trace, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_INSERT_JOB_LATER = """
INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, trace, request_id, run_at, dedupe_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9), $10)
ON CONFLICT (tenant_id, name, dedupe_key) WHERE dedupe_key IS NOT NULL AND finished_at IS NULL DO NOTHING
RETURNING id
"""


async def insert_event(work: "Work", event: Event) -> UUID:
    """Write `event` to the outbox; the relay is woken after the commit. Gives its id."""
    event_id = new_id()
    await work.execute(
        _INSERT_EVENT,
        event_id,
        work.tenant_id,
        event.name,
        event.version,
        msgspec.json.encode(event).decode(),
        current_traceparent(),
        work.request_id,
    )
    work.after_commit(work.runtime.notifier.poke)
    return event_id


async def insert_job(
    work: "Work",
    job: Job[Any] | ExternalJob[Any],
    payload: msgspec.Struct,
    *,
    delay: float = 0.0,
    dedupe_key: str | None = None,
) -> UUID | None:
    """Write a job; the relay is woken after the commit. `delay` in seconds.

    Gives its id, or None where an unfinished job of the same name and tenant holds `dedupe_key`.

    Raises:
        LookupError: no enabled plugin has this job, so it would never run.
        TypeError: the payload is not the job's.
    """
    if job.name not in work.registry.jobs:
        raise LookupError(f"no enabled plugin has the job {job.name}: return it from the plugin's hook `jobs`")
    if not isinstance(payload, job.payload):
        raise TypeError(f"the job {job.name} takes a {job.payload.__qualname__}, not a {type(payload).__qualname__}")
    job_id = new_id()
    arguments = (
        job_id,
        work.tenant_id,
        work.registry.owners[job.name],
        job.name,
        msgspec.json.encode(payload).decode(),
        job.max_attempts,
        current_traceparent(),
        work.request_id,
    )
    if delay == 0.0 and dedupe_key is None:
        await work.execute(_INSERT_JOB, *arguments)
    elif await work.fetchval(_INSERT_JOB_LATER, *arguments, delay, dedupe_key) is None:
        return None
    work.after_commit(work.runtime.notifier.poke)
    return job_id
