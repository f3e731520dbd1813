"""What happens when others tell something."""

from pegboard_sdk import EventHandler, UnitOfWork

from pegboard_hello.events import GigPublished
from pegboard_hello.service import GreetingService

__all__ = ("EVENT_HANDLERS",)


async def congratulate(uow: UnitOfWork, event: GigPublished) -> None:
    """Congratulate whoever published a gig."""
    await GreetingService(uow).congratulate(event.owner_id, event.gig_id)


EVENT_HANDLERS = (
    EventHandler(event="creation_studio.gig_published", name="congratulate", type=GigPublished, handle=congratulate),
)
