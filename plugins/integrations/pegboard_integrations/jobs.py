"""Keeping the inbox from growing for ever."""

from collections.abc import Sequence

import msgspec
from pegboard_sdk import Job, Schedule, UnitOfWork

from pegboard_integrations.repository import DeliveryRepository
from pegboard_integrations.settings import Settings

__all__ = ("JOBS", "SCHEDULES")

BATCH = 1_000


class Nothing(msgspec.Struct, frozen=True):
    """A payload without fields."""


async def delete_old_deliveries(uow: UnitOfWork, payload: Nothing) -> None:
    """Remove a batch of deliveries past their retention, and come again while there are more."""
    deleted = await DeliveryRepository(uow).delete_older(uow.settings(Settings).retention_days, BATCH)
    if deleted == BATCH:
        await uow.enqueue(DELETE_OLD_DELIVERIES, payload)


DELETE_OLD_DELIVERIES = Job(name="integrations.delete_old_deliveries", payload=Nothing, run=delete_old_deliveries)

JOBS = (DELETE_OLD_DELIVERIES,)
SCHEDULES: Sequence[Schedule] = (
    Schedule(
        name="integrations.delete_old_deliveries", cron="40 3 * * *", job=DELETE_OLD_DELIVERIES, payload=Nothing()
    ),
)
