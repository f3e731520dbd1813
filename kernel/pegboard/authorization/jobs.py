"""Authorization's background work: saying for the record what has ended by itself."""

from typing import TYPE_CHECKING

import msgspec
from pegboard_sdk.jobs import Job, Schedule

from pegboard.authorization.approvals import BATCH, expire_approvals
from pegboard.authorization.overrides import expire_overrides

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

__all__ = ("JOBS", "RECORD_EXPIRY", "SCHEDULES", "RecordExpiry")


class RecordExpiry(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def record_expiry(uow: "UnitOfWork", payload: RecordExpiry) -> None:
    """Put on record the raised rights and requests for approval whose time is over; come again while there are more."""
    await expire_overrides(uow)
    if await expire_approvals(uow) == BATCH:
        await uow.enqueue(RECORD_EXPIRY, payload)


RECORD_EXPIRY = Job(name="kernel.record_expiry", payload=RecordExpiry, run=record_expiry, timeout=600)

JOBS = (RECORD_EXPIRY,)
SCHEDULES = (Schedule(name="kernel.record_expiry", cron="*/15 * * * *", job=RECORD_EXPIRY, payload=RecordExpiry()),)
