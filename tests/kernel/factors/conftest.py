"""People with second factors, over HTTP."""

import base64
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from pegboard.factors.totp import code_at, step_at
from pegboard_sdk.services import AuditEntryView, AuditLog

from tests.support.authenticator import Authenticator
from tests.support.platform import PASSWORD, Account, TestPlatform

AUTH = "/api/v1/auth"


class Person(msgspec.Struct, kw_only=True):
    """An account with an authenticator app, a passkey or both. `codes` are the recovery codes."""

    platform: TestPlatform
    account: Account
    seed: bytes = b""
    passkey: Authenticator | None = None
    codes: list[str] = []

    @property
    def client(self) -> httpx.AsyncClient:
        """Who is logged in."""
        return self.account.client

    @property
    def anonymous(self) -> httpx.AsyncClient:
        """The same, not logged in."""
        return self.platform.anonymous(self.account.tenant_id)

    def code(self, step: int = 0) -> str:
        """What the app shows, `step` steps from now."""
        return code_at(self.seed, step_at(time.time()) + step)

    async def log_in(self, client: httpx.AsyncClient | None = None, **fields: Any) -> httpx.Response:
        """By password."""
        body = {"email": self.account.email, "password": PASSWORD, **fields}
        return await (client or self.anonymous).post(f"{AUTH}/login", json=body)

    async def challenged(self, client: httpx.AsyncClient | None = None) -> dict[str, Any]:
        """The challenge that the password gives."""
        response = await self.log_in(client)
        assert response.status_code == 202, response.text
        assert response.headers["cache-control"] == "no-store"
        return response.json()

    async def answer(
        self, challenge: dict[str, Any], client: httpx.AsyncClient | None = None, **fields: Any
    ) -> httpx.Response:
        """Answer a log-in's challenge."""
        body = {"challenge": challenge["challenge"], **fields}
        return await (client or self.anonymous).post(f"{AUTH}/challenge", json=body)

    async def forget_steps(self) -> None:
        """As if the last code had been used long ago: a test has no time to wait for the next."""
        async with self.platform.work(self.platform.system(self.account.tenant_id)) as work:
            await work.execute("UPDATE kernel_totp_seeds SET last_step = 0 WHERE account_id = $1", self.account.id)

    async def forget_attempts(self) -> None:
        """As if a day had passed without one."""
        async with self.platform.work(self.platform.system(self.account.tenant_id)) as work:
            await work.execute("UPDATE kernel_attempts SET locked_until = now(), last_at = now() - interval '2 days'")


async def add_totp(person: Person) -> httpx.Response:
    begun = await person.client.post(f"{AUTH}/factors/totp")
    assert begun.status_code == 200, begun.text
    secret = begun.json()["secret"]
    person.seed = base64.b32decode(secret + "=" * (-len(secret) % 8))
    confirmed = await person.client.post(f"{AUTH}/factors/totp/confirm", json={"code": person.code()})
    assert confirmed.status_code == 200, confirmed.text
    person.codes = confirmed.json()["recovery_codes"] or person.codes
    person.client.headers["authorization"] = f"Bearer {confirmed.json()['access_token']}"
    await person.forget_steps()
    return confirmed


async def add_passkey(person: Person, passkey: Authenticator, label: str = "Key") -> httpx.Response:
    challenge = (await person.client.get(f"{AUTH}/factors/passkeys/challenge")).json()
    body = {"challenge": challenge["challenge"], "credential": passkey.create(challenge["publicKey"]), "label": label}
    added = await person.client.post(f"{AUTH}/factors/passkeys", json=body)
    if added.status_code == 201:
        person.passkey = passkey
        person.codes = added.json()["recovery_codes"] or person.codes
        person.client.headers["authorization"] = f"Bearer {added.json()['access_token']}"
    return added


MakePerson = Callable[..., Awaitable[Person]]


@pytest.fixture
def person(platform: TestPlatform, tenant: UUID) -> MakePerson:
    """Makes somebody with an account; `totp` and `passkey` say what they have."""

    async def make(
        *, totp: bool = False, passkey: Authenticator | None = None, roles: Sequence[str] = ("member",)
    ) -> Person:
        made = Person(platform=platform, account=await platform.account(tenant, roles))
        if totp:
            await add_totp(made)
        if passkey is not None:
            assert (await add_passkey(made, passkey)).status_code == 201
        return made

    return make


async def entries(platform: TestPlatform, tenant: UUID, action: str) -> list[AuditEntryView]:
    """What is on record of an action, the newest first."""
    async with platform.work(platform.system(tenant)) as work:
        return (await work.service(AuditLog).search(work, action=action)).items
