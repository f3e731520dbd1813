"""What each act starts from: a platform, a fresh marketplace in it, and people."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import httpx
from pegboard_sdk.ids import new_id

from tests.support.mailbox import Mailbox
from tests.support.platform import Account, TestPlatform

__all__ = ("Act", "Acts", "Site", "key")


class Site:
    """A marketplace of its own for one act."""

    def __init__(self, platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
        self.platform = platform
        self.tenant = tenant
        self.mailbox = mailbox

    @property
    def anonymous(self) -> httpx.AsyncClient:
        """Somebody who is not logged in."""
        return self.platform.anonymous(self.tenant)

    async def member(self, *roles: str) -> Account:
        """Somebody with an account, and further roles."""
        return await self.platform.account(self.tenant, ("member", *roles))

    async def administrator(self) -> Account:
        """Who runs the marketplace."""
        return await self.member("administrator")

    async def operator(self) -> Account:
        """Who runs the platform."""
        return await self.member("operator")

    async def execute(self, sql: str, *arguments: Any) -> None:
        """Arrange what no route does."""
        async with self.platform.runtime.database.system_transaction() as connection:
            await connection.execute(sql, *arguments)


Act = Callable[[Site], Awaitable[httpx.Response]]
"""Uses a route with success, as somebody who may, and gives its answer."""

Acts = Mapping[str, Act]
"""By method and path, as the route has them."""


def key() -> dict[str, str]:
    """A fresh Idempotency-Key."""
    return {"Idempotency-Key": new_id().hex}
