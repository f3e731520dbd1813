"""Single sign-on's background work."""

from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.jobs import Job, Schedule

from pegboard.sso.flows import Flows

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("DELETE_EXPIRED_FLOWS", "JOBS", "SCHEDULES", "DeleteExpiredFlows")

BATCH = 1_000


class DeleteExpiredFlows(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def delete_expired_flows(work: "Work", payload: DeleteExpiredFlows) -> None:
    """Remove a batch of the log-ins by providers that are over, and come again while there are more."""
    if await Flows(work, work.runtime.vault).delete_expired(limit=BATCH) == BATCH:
        await work.enqueue(DELETE_EXPIRED_FLOWS, payload)


DELETE_EXPIRED_FLOWS = Job(
    name="kernel.delete_expired_sso_flows",
    payload=DeleteExpiredFlows,
    run=delete_expired_flows,  # type: ignore[arg-type]  # the kernel's own jobs get the kernel's unit of work
)

JOBS = (DELETE_EXPIRED_FLOWS,)
SCHEDULES = (
    Schedule(
        name="kernel.delete_expired_sso_flows",
        cron="41 * * * *",
        job=DELETE_EXPIRED_FLOWS,
        payload=DeleteExpiredFlows(),
    ),
)
