"""Greetings over HTTP: mounted at /api/v1/hello."""

from pegboard_sdk import SteppedUnitOfWork, UnitOfWork
from pegboard_sdk.errors import Conflict, Forbidden, InvalidCursor, ServiceMissing, TooManyRequests, UpstreamFailed
from pegboard_sdk.http import Controller, JsonBytes, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_hello.errors import GreetingToSelf
from pegboard_hello.permissions import READ, SEND
from pegboard_hello.schemas import Draft, DraftCreate, Greeting, GreetingCreate
from pegboard_hello.service import GreetingService
from pegboard_hello.wording import word_greeting

__all__ = ("GreetingController",)


class GreetingController(Controller):
    """Greetings."""

    path = "/greetings"

    @get(permission=READ, errors=(InvalidCursor,))
    async def list_greetings(
        self, uow: UnitOfWork, limit: Limit = 20, cursor: Cursor = None
    ) -> JsonBytes[Page[Greeting]]:
        """The greetings that one got, newest first."""
        return JsonBytes(await GreetingService(uow).page(limit, cursor))

    @post(permission=SEND, errors=(GreetingToSelf, Conflict))
    async def send_greeting(self, data: GreetingCreate, uow: UnitOfWork) -> Greeting:
        """Greet somebody."""
        return await GreetingService(uow).send(data)

    @post(
        "/drafts",
        permission=SEND,
        external=True,
        idempotency="none",
        status=200,
        timeout=120.0,
        errors=(Forbidden, ServiceMissing, TooManyRequests, UpstreamFailed),
    )
    async def draft_greeting(self, data: DraftCreate, uow: SteppedUnitOfWork) -> Draft:
        """Have a language model word a greeting. It counts against one's own quota."""
        return Draft(await word_greeting(uow, data.occasion))
