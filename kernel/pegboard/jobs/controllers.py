"""The routes of the job administration, for the platform's operators."""

from typing import Annotated
from uuid import UUID

from pegboard_sdk.errors import InvalidCursor
from pegboard_sdk.http import Controller, QueryParameter, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard.jobs.errors import JobHeld, JobNotDead, JobNotFound
from pegboard.jobs.permissions import JOB_READ, JOB_REDRIVE
from pegboard.jobs.schemas import JobDetail, JobSummary
from pegboard.jobs.service import JobService
from pegboard.jobs.states import JobState
from pegboard.work import SteppedWork, Work

__all__ = ("CONTROLLERS", "JobController")

StateFilter = Annotated[JobState | None, QueryParameter(name="state", description="Only jobs in this state.")]
NameFilter = Annotated[
    str | None,
    QueryParameter(name="name", max_length=200, pattern=r"^[^\x00]*$", description="Only jobs of this name."),
]
PluginFilter = Annotated[
    str | None,
    QueryParameter(name="plugin", max_length=63, pattern=r"^[^\x00]*$", description="Only jobs of this plugin."),
]
TenantFilter = Annotated[UUID | None, QueryParameter(name="tenant_id", description="Only jobs of this tenant.")]


class JobController(Controller):
    """The jobs of all tenants: background work, and events on their way to handlers."""

    path = "/admin/jobs"

    @get(permission=JOB_READ, errors=(InvalidCursor,))
    async def list_jobs(
        self,
        uow: Work,
        in_state: StateFilter = None,
        name: NameFilter = None,
        plugin: PluginFilter = None,
        tenant_id: TenantFilter = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[JobSummary]:
        """List jobs, newest first."""
        return await JobService(uow).list(
            limit=limit, cursor=cursor, state=in_state, name=name, plugin=plugin, tenant_id=tenant_id
        )

    @get("/{job_id:uuid}", permission=JOB_READ, errors=(JobNotFound,))
    async def read_job(self, job_id: UUID, uow: Work) -> JobDetail:
        """One job, with its payload and its last error."""
        return await JobService(uow).get(job_id)

    # Not in the unit of work's transaction: that one sees the operator's tenant only.
    @post(
        "/{job_id:uuid}/redrive",
        permission=JOB_REDRIVE,
        external=True,
        status=200,
        errors=(JobNotFound, JobNotDead, JobHeld),
    )
    async def redrive_job(self, job_id: UUID, uow: SteppedWork) -> JobDetail:
        """Run a dead job again, with all its attempts."""
        return await JobService(uow).redrive(job_id)


CONTROLLERS = (JobController,)
