"""Machines' background work."""

from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.jobs import Job, Schedule

from pegboard.machines.repository import CredentialRepository

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

__all__ = ("DELETE_USED_ASSERTIONS", "JOBS", "SCHEDULES", "DeleteUsedAssertions")

BATCH = 5_000


class DeleteUsedAssertions(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def delete_used_assertions(uow: "UnitOfWork", payload: DeleteUsedAssertions) -> None:
    """Remove a batch of clients' assertions that have expired, and come again while there are more."""
    if await CredentialRepository(uow).delete_used_assertions(limit=BATCH) == BATCH:
        await uow.enqueue(DELETE_USED_ASSERTIONS, payload)


DELETE_USED_ASSERTIONS = Job(
    name="kernel.delete_used_assertions", payload=DeleteUsedAssertions, run=delete_used_assertions
)

JOBS = (DELETE_USED_ASSERTIONS,)
SCHEDULES = (
    Schedule(
        name="kernel.delete_used_assertions",
        cron="41 * * * *",
        job=DELETE_USED_ASSERTIONS,
        payload=DeleteUsedAssertions(),
    ),
)
