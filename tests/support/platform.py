"""A platform in this process, for tests: the real application on real servers, one tenant a test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import msgspec
from pegboard.config.model import Config
from pegboard.jobs.drain import drain
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import AccessLog
from pegboard.web.entry import Entry
from pegboard.work import Work, transact
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id

__all__ = ("PASSWORD", "Account", "TestPlatform")

PASSWORD = "correct horse battery staple"
BASE_URL = "http://platform.test"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an account: `client` sends requests as them."""

    id: UUID
    tenant_id: UUID
    email: str
    token: str
    client: httpx.AsyncClient
    principal: Principal


class TestPlatform:
    """The application, started. `app` is what a server would run."""

    __test__ = False

    def __init__(self, config: Config) -> None:
        self.config = config
        self.app = Entry(config, AccessLog(LineBuffer(), as_json=True, enabled=False))
        self._clients: list[httpx.AsyncClient] = []

    @property
    def runtime(self) -> Runtime:
        return self.app.platform.runtime

    @property
    def registry(self) -> Registry:
        return self.runtime.registry

    async def start(self) -> None:
        await self.app.platform.start()

    async def stop(self) -> None:
        for client in self._clients:
            await client.aclose()
        await self.app.platform.stop()

    def client(self, *, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """A client of the application; header names are written with underscores."""
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, client=(address, 12345)),  # type: ignore[arg-type]  # ASGI types differ in name only
            base_url=BASE_URL,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        self._clients.append(client)
        return client

    def anonymous(self, tenant: UUID) -> httpx.AsyncClient:
        """Somebody who is not logged in, in `tenant` (named as a trusted proxy would)."""
        return self.client(x_tenant=str(tenant))

    async def tenant(self, name: str = "test") -> UUID:
        """A fresh tenant."""
        tenant = new_id()
        async with self.runtime.database.system_transaction() as connection:
            await connection.execute(
                "INSERT INTO kernel_tenants (id, slug, name) VALUES ($1, $2, $3)", tenant, f"t-{tenant.hex}", name
            )
        return tenant

    async def account(self, tenant: UUID, roles: Sequence[str] = ("member",), *, name: str = "Ada") -> Account:
        """A fresh account, registered and logged in over HTTP, with `roles`."""
        anonymous = self.anonymous(tenant)
        email = f"{new_id().hex}@example.com"
        credentials = {"email": email, "password": PASSWORD}
        registered = await anonymous.post("/api/v1/auth/register", json={**credentials, "display_name": name})
        assert registered.status_code == 201, registered.text
        account_id = UUID(registered.json()["id"])
        async with self.runtime.database.system_transaction() as connection:
            for role in roles:
                await connection.execute(
                    "INSERT INTO kernel_role_grants (id, tenant_id, account_id, role) VALUES ($1, $2, $3, $4)"
                    " ON CONFLICT DO NOTHING",
                    new_id(),
                    tenant,
                    account_id,
                    role,
                )
        logged_in = await anonymous.post("/api/v1/auth/login", json=credentials)
        assert logged_in.status_code == 200, logged_in.text
        token = logged_in.json()["access_token"]
        principal = await self.runtime.authenticator.principal(token, self.registry)
        return Account(
            id=account_id,
            tenant_id=tenant,
            email=email,
            token=token,
            client=self.client(authorization=f"Bearer {token}"),
            principal=principal,
        )

    def system(self, tenant: UUID) -> Principal:
        """The principal that jobs and event handlers act as."""
        return Principal(kind="system", tenant_id=tenant)

    @asynccontextmanager
    async def work(self, who: Principal | Account) -> AsyncIterator[Work]:
        """A unit of work that commits at the end of the block."""
        principal = who.principal if isinstance(who, Account) else who
        async with transact(self.runtime, self.registry, principal, new_id().hex) as work:
            yield work

    async def drain(self, *, include_delayed: bool = False) -> Any:
        """Relay events and run due jobs until none is left."""
        return await drain(self.runtime, include_delayed=include_delayed)
