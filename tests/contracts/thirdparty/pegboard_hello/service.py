"""The rules of greeting."""

from uuid import UUID

import msgspec
from pegboard_sdk import UnitOfWork
from pegboard_sdk.pagination import decode_cursor

from pegboard_hello.errors import GreetingToSelf
from pegboard_hello.jobs import DELIVER_GREETING, Delivery
from pegboard_hello.repository import GreetingRepository
from pegboard_hello.schemas import Greeting, GreetingCreate
from pegboard_hello.settings import Settings

__all__ = ("GreetingService",)


class GreetingService:
    """Greetings, in the caller's unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._greetings = GreetingRepository(uow)

    async def send(self, data: GreetingCreate) -> Greeting:
        """Greet somebody; it is delivered in the background.

        Raises:
            GreetingToSelf: it is for who sends it.
        """
        if data.account_id == self._uow.principal.account:
            raise GreetingToSelf("Greet somebody else.")
        row = await self._greetings.insert(data.account_id, None, data.text)
        assert row is not None, "only a gig's greeting can be there already"
        await self._uow.enqueue(DELIVER_GREETING, Delivery(row["id"]))
        return msgspec.convert(dict(row), Greeting)

    async def congratulate(self, owner_id: UUID, gig_id: UUID) -> None:
        """Congratulate on a gig. Doing it twice sends one greeting: events come at least once."""
        row = await self._greetings.insert(owner_id, gig_id, self._uow.settings(Settings).congratulation)
        if row is not None:
            await self._uow.enqueue(DELIVER_GREETING, Delivery(row["id"]))

    async def page(self, limit: int, cursor: str | None) -> bytes:
        """One's own greetings, newest first, as the JSON of a page.

        Raises:
            InvalidCursor: the cursor is not of this list.
        """
        before = decode_cursor(cursor, (UUID,))
        return await self._greetings.page(self._uow.principal.account, before[0] if before else None, limit)
