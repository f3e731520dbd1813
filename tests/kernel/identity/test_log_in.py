"""Logging in: what is right opens a session, and what is wrong tells nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import UUID

import argon2
import pytest
from pegboard.identity import passwords as module
from pegboard.identity.passwords import Passwords
from pegboard_sdk.errors import Unavailable
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditEntryView, AuditLog

from tests.support.platform import PASSWORD, TestPlatform


class WatchedPasswords(Passwords):
    """Remembers what it was asked to check, and whether a transaction was open."""

    def __init__(self, platform: TestPlatform) -> None:
        super().__init__(threads=2)
        self._pool_of_connections = platform.runtime.database.app
        self.checked: list[tuple[str | None, str]] = []
        self.connections_in_use: set[int] = set()

    async def verify(self, stored: str | None, password: str) -> bool:
        self.checked.append((stored, password))
        self._look()
        return await super().verify(stored, password)

    async def hash(self, password: str) -> str:
        self._look()
        return await super().hash(password)

    def _look(self) -> None:
        pool = self._pool_of_connections
        self.connections_in_use.add(pool.get_size() - pool.get_idle_size())


@pytest.fixture
async def passwords(platform: TestPlatform) -> AsyncIterator[WatchedPasswords]:
    before = platform.runtime.authenticator.passwords
    watched = platform.runtime.authenticator.passwords = WatchedPasswords(platform)
    yield watched
    platform.runtime.authenticator.passwords = before
    watched.close()


async def register(platform: TestPlatform, tenant: UUID, email: str) -> UUID:
    response = await platform.anonymous(tenant).post(
        "/api/v1/auth/register", json={"email": email, "password": PASSWORD, "display_name": "Ada"}
    )
    assert response.status_code == 201, response.text
    return UUID(response.json()["id"])


async def entries(platform: TestPlatform, tenant: UUID) -> list[AuditEntryView]:
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:session.open")
    return page.items


async def test_an_unknown_address_and_a_wrong_password_take_the_same_steps(
    platform: TestPlatform, tenant: UUID, passwords: WatchedPasswords
) -> None:
    account_id = await register(platform, tenant, "ada@example.com")
    anonymous = platform.anonymous(tenant)
    problems = []
    for email in ("ada@example.com", "nobody@example.com"):
        response = await anonymous.post("/api/v1/auth/login", json={"email": email, "password": "not the password"})
        assert response.status_code == 401
        problem = response.json()
        del problem["request_id"]
        problems.append(problem)
    assert problems[0] == problems[1]
    assert problems[0]["code"] == "auth.bad_credentials"
    # A hash is checked for both, with the same parameters, and an entry is written for both.
    (known, _), (unknown, _) = passwords.checked
    assert known is not None
    assert unknown is None
    assert argon2.extract_parameters(passwords._decoy) == argon2.extract_parameters(known)
    refusals = await entries(platform, tenant)
    assert [(entry.outcome, entry.reason) for entry in refusals] == [("refused", "bad credentials")] * 2
    assert [entry.object_id for entry in refusals] == [None, str(account_id)]


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_one_address_may_be_tried_only_so_often_from_wherever(
    platform: TestPlatform, tenant: UUID, passwords: WatchedPasswords, known: bool
) -> None:
    email = f"{new_id().hex}@example.com"
    if known:
        await register(platform, tenant, email)
    limit = platform.config.auth.lockout_attempts * 5

    async def attempt(number: int, *, of: UUID = tenant, email: str = email) -> int:
        client = platform.client(x_tenant=str(of), x_forwarded_for=f"203.0.113.{number}")
        answer = await client.post("/api/v1/auth/login", json={"email": email, "password": "not it at all"})
        return answer.status_code

    spellings = (email, email.upper(), f" {email} ")
    answers = [await attempt(number, email=spellings[number % 3]) for number in range(limit)]
    assert answers == [401] * limit
    assert await attempt(limit) == 429
    assert len(passwords.checked) == limit, "what is refused costs no hash"
    assert await attempt(1, email=f"other.{email}") == 401
    assert await attempt(1, of=await platform.tenant()) == 401


async def test_no_connection_is_held_while_hashing(
    platform: TestPlatform, tenant: UUID, passwords: WatchedPasswords
) -> None:
    await register(platform, tenant, "ada@example.com")
    response = await platform.anonymous(tenant).post(
        "/api/v1/auth/login", json={"email": "ada@example.com", "password": PASSWORD}
    )
    assert response.status_code == 200
    assert passwords.connections_in_use == {0}


async def test_the_decoy_has_no_password() -> None:
    passwords = Passwords(threads=1)
    assert not await passwords.verify(None, "")
    assert not await passwords.verify(None, PASSWORD)
    passwords.close()


async def test_the_same_characters_from_another_keyboard(platform: TestPlatform) -> None:
    passwords = platform.runtime.authenticator.passwords
    stored = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.verify(stored, "cafe\u0301 au lait")
    assert not await passwords.verify(stored, "cafe au lait")


async def test_more_than_can_be_hashed_soon_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUEUE_PER_THREAD", 2)
    passwords = Passwords(threads=1)
    outcomes = await asyncio.gather(*(passwords.verify(None, "x") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 3
    assert outcomes.count(False) == 2
    assert await passwords.verify(None, "x") is False
    passwords.close()


async def test_a_disabled_account_is_told_so_only_with_its_password(platform: TestPlatform, tenant: UUID) -> None:
    account_id = await register(platform, tenant, "ada@example.com")
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_accounts SET status = 'disabled' WHERE id = $1", account_id)
    anonymous = platform.anonymous(tenant)
    for password, status, code in (
        ("not the password", 401, "auth.bad_credentials"),
        (PASSWORD, 403, "auth.account_disabled"),
    ):
        response = await anonymous.post("/api/v1/auth/login", json={"email": "ada@example.com", "password": password})
        assert (response.status_code, response.json()["code"]) == (status, code)
    assert [entry.reason for entry in await entries(platform, tenant)] == ["disabled", "bad credentials"]


async def test_an_account_without_a_password_can_not_log_in_by_one(platform: TestPlatform, tenant: UUID) -> None:
    account_id = await register(platform, tenant, "ada@example.com")
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_accounts SET password_hash = NULL WHERE id = $1", account_id)
    response = await platform.anonymous(tenant).post(
        "/api/v1/auth/login", json={"email": "ada@example.com", "password": PASSWORD}
    )
    assert response.status_code == 401


async def test_an_old_hash_is_renewed(platform: TestPlatform, tenant: UUID) -> None:
    account_id = await register(platform, tenant, "ada@example.com")
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_accounts SET password_hash = $2 WHERE id = $1", account_id, weak)
    for _ in range(2):
        response = await platform.anonymous(tenant).post(
            "/api/v1/auth/login", json={"email": "ada@example.com", "password": PASSWORD}
        )
        assert response.status_code == 200
        async with platform.runtime.database.system_transaction() as connection:
            stored = await connection.fetchval("SELECT password_hash FROM kernel_accounts WHERE id = $1", account_id)
        assert stored != weak
        assert not platform.runtime.authenticator.passwords.outdated(stored)


async def test_the_log_in_is_the_accounts_on_record(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    (entry,) = await entries(platform, tenant)
    assert (entry.actor_kind, entry.actor_id, entry.outcome) == ("account", ada.id, "success")


async def test_passwords_stay_out_of_the_log(
    platform: TestPlatform, tenant: UUID, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    password = f"a password {new_id().hex}"
    await platform.anonymous(tenant).post(
        "/api/v1/auth/register", json={"email": "ada@example.com", "password": password, "display_name": "Ada"}
    )
    await platform.anonymous(tenant).post("/api/v1/auth/login", json={"email": "ada@example.com", "password": password})
    out, err = capfd.readouterr()
    assert password not in out + err + caplog.text
