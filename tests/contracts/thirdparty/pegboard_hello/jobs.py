"""Background work."""

from uuid import UUID

import msgspec
from pegboard_sdk import Job, UnitOfWork

from pegboard_hello.events import GreetingDelivered
from pegboard_hello.repository import GreetingRepository

__all__ = ("DELIVER_GREETING", "JOBS", "Delivery")


class Delivery(msgspec.Struct, frozen=True):
    """Which greeting: the row is read again when the job runs."""

    greeting_id: UUID


async def deliver_greeting(uow: UnitOfWork, payload: Delivery) -> None:
    """Deliver a greeting. Doing it twice changes nothing: jobs run at least once."""
    row = await GreetingRepository(uow).deliver(payload.greeting_id)
    if row is not None:
        await uow.emit(GreetingDelivered(greeting_id=payload.greeting_id, account_id=row["account_id"]))


DELIVER_GREETING = Job(name="hello.deliver_greeting", payload=Delivery, run=deliver_greeting)

JOBS = (DELIVER_GREETING,)
