"""What an operator does with jobs: look at them, and run dead ones again."""

from uuid import UUID

import asyncpg
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor

from pegboard.jobs.errors import JobHeld, JobNotDead, JobNotFound
from pegboard.jobs.permissions import JOB_REDRIVE
from pegboard.jobs.repository import find_job, find_job_page, redrive_job
from pegboard.jobs.schemas import JobDetail, JobSummary
from pegboard.jobs.states import JobState
from pegboard.work import Work, WorkContext

__all__ = ("JobService",)


class JobService:
    """Works on the jobs of all tenants, through the role *system*: its caller has checked that an operator asks."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        self._database = context.runtime.database

    async def list(
        self,
        *,
        limit: int,
        cursor: str | None,
        state: JobState | None = None,
        name: str | None = None,
        plugin: str | None = None,
        tenant_id: UUID | None = None,
    ) -> Page[JobSummary]:
        """A page of jobs, newest first.

        Raises:
            InvalidCursor: the cursor is not one of this list.
        """
        after = decode_cursor(cursor, (UUID,))
        async with self._database.system_reader() as connection:
            found = await find_job_page(
                connection,
                limit=limit + 1,
                before=None if after is None else after[0],
                state=state,
                name=name,
                plugin=plugin,
                tenant_id=tenant_id,
            )
        items = found[:limit]
        return Page(items, encode_cursor(items[-1].id) if len(found) > limit else None)

    async def get(self, job_id: UUID) -> JobDetail:
        """One job.

        Raises:
            JobNotFound: there is none with this id.
        """
        async with self._database.system_reader() as connection:
            job = await find_job(connection, job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    async def redrive(self, job_id: UUID) -> JobDetail:
        """Queue a dead job again, with all its attempts; audited in the same transaction, in the operator's tenant.

        Raises:
            JobNotFound: there is none with this id.
            JobNotDead: it is in another state.
            JobHeld: an unfinished job holds its dedupe key.
        """
        context = self._context
        async with self._database.system_transaction() as connection:
            if context.principal.session_id is not None:
                await connection.execute("SELECT kernel_require_session($1)", context.principal.session_id)
            before = await find_job(connection, job_id)
            if before is None:
                raise JobNotFound(job_id)
            try:
                redriven = await redrive_job(connection, job_id)
            except asyncpg.UniqueViolationError as error:
                raise JobHeld from error
            if not redriven:
                raise JobNotDead(before.state)
            work = Work(connection, context.runtime, context.registry, context.principal, context.request_id)
            await work.audit(
                JOB_REDRIVE,
                object_type="job",
                object_id=job_id,
                before={"state": before.state, "attempts": before.attempts},
                after={"state": "queued", "attempts": 0, "tenant_id": before.tenant_id, "name": before.name},
            )
            after = await find_job(connection, job_id)
        await context.runtime.notifier.poke()
        if after is None:
            raise JobNotFound(job_id)
        return after
