"""Greetings over HTTP: mounted at /api/v1/hello."""

from pegboard_sdk import UnitOfWork
from pegboard_sdk.errors import Conflict, InvalidCursor
from pegboard_sdk.http import Controller, JsonBytes, get, post
from pegboard_sdk.pagination import Cursor, Limit, Page

from pegboard_hello.errors import GreetingToSelf
from pegboard_hello.permissions import READ, SEND
from pegboard_hello.schemas import Greeting, GreetingCreate
from pegboard_hello.service import GreetingService

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
