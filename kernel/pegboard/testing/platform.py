"""A platform in this process, for tests: the real application on real servers, one tenant a test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
import msgspec
from pegboard_sdk.access import Principal
from pegboard_sdk.events import Event
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret
from pegboard_sdk.testing import TestAccount

from pegboard.config.model import Config
from pegboard.identity.accounts import AccountService
from pegboard.identity.sessions import SessionService
from pegboard.jobs.drain import drain
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import AccessLog
from pegboard.vault.store import SecretStore
from pegboard.web.entry import Entry
from pegboard.work import Work, transact

__all__ = ("PASSWORD", "Account", "TestPlatform")

PASSWORD = "correct horse battery staple"  # noqa: S105  # pragma: allowlist secret
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
    """`pegboard_sdk.testing.TestKernel`: the application, started. `app` is what a server would run."""

    __test__ = False

    def __init__(self, config: Config, plugin: str = "") -> None:
        self.config = config
        self.plugin = plugin
        self.app = Entry(config, AccessLog(LineBuffer(), as_json=True, enabled=False))
        self._clients: list[httpx.AsyncClient] = []
        self._password_hash: str | None = None

    @property
    def runtime(self) -> Runtime:
        """The process's runtime."""
        return self.app.platform.runtime

    @property
    def registry(self) -> Registry:
        """What is on."""
        return self.runtime.registry

    async def start(self) -> None:
        """Start it."""
        await self.app.platform.start()

    async def stop(self) -> None:
        """Close the clients and end it."""
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
        """A fresh account with `roles` and an open session. Its password is `PASSWORD`, hashed once per platform."""
        email = f"{new_id().hex}@example.com"
        if self._password_hash is None:
            self._password_hash = await self.runtime.authenticator.passwords.hash(PASSWORD)
        accounts, sessions = AccountService(self.runtime), SessionService(self.runtime)
        async with self.work(self.system(tenant)) as work:
            created = await accounts.create(
                work, email=email, password_hash=self._password_hash, display_name=name, roles=roles
            )
            opened = await sessions.open(work, created.id)
        token = sessions.issue(opened).access_token
        return Account(
            id=created.id,
            tenant_id=tenant,
            email=email,
            token=token,
            client=self.client(authorization=f"Bearer {token}"),
            principal=await self.runtime.authenticator.principal(token, self.registry),
        )

    def system(self, tenant: UUID) -> Principal:
        """The principal that jobs and event handlers act as."""
        return Principal(kind="system", tenant_id=tenant)

    @asynccontextmanager
    async def work(self, who: Principal | TestAccount) -> AsyncIterator[Work]:
        """A unit of work that commits at the end of the block."""
        principal = who if isinstance(who, Principal) else who.principal
        async with transact(self.runtime, self.registry, principal, new_id().hex) as work:
            yield work

    async def drain(self, *, include_delayed: bool = False) -> int:
        """Relay events and run due jobs until none is left."""
        return await drain(self.runtime, include_delayed=include_delayed)

    async def secret(self, name: str, value: str, *, tenant: UUID | None = None) -> None:
        """Put a secret into the vault, the tenant's or the platform's."""
        async with self.runtime.database.system_transaction() as connection:
            # What is the platform's is audited in a tenant's trail too.
            actor = self.system(
                tenant or await connection.fetchval("SELECT id FROM kernel_tenants ORDER BY id LIMIT 1")
            )
            store = SecretStore(connection, self.runtime.vault, actor=actor, request_id=new_id().hex)
            await store.set(name, Secret(value), tenant_id=tenant)

    async def emit(self, tenant: UUID, event: Event) -> UUID:
        """Write an event to the outbox."""
        async with self.work(self.system(tenant)) as work:
            return await work.emit(event)
