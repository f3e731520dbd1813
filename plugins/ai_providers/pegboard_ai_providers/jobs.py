"""Settling what a crash left."""

from collections.abc import Sequence

import msgspec
from pegboard_sdk import Job, Schedule, UnitOfWork

from pegboard_ai_providers.service.usage import UsageService

__all__ = ("JOBS", "SCHEDULES", "SETTLE_LOST", "Nothing")

BATCH = 100


class Nothing(msgspec.Struct, frozen=True):
    """A payload without fields."""


async def settle_lost(uow: UnitOfWork, payload: Nothing) -> None:
    """End reservations whose process is gone, and come again while there are more."""
    if await UsageService(uow).settle_lost(BATCH) == BATCH:
        await uow.enqueue(SETTLE_LOST, payload)


SETTLE_LOST = Job(name="ai_providers.settle_lost", payload=Nothing, run=settle_lost)

JOBS = (SETTLE_LOST,)
SCHEDULES: Sequence[Schedule] = (
    Schedule(name="ai_providers.settle_lost", cron="*/5 * * * *", job=SETTLE_LOST, payload=Nothing()),
)
