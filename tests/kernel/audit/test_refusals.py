"""Who was refused or failed is on record, once a minute, and being recorded changes nothing for them."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.audit import refusals
from pegboard.audit.refusals import Refusals
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditEntryView, AuditLog
from structlog.testing import capture_logs

from tests.support.faults import BreakingPool
from tests.support.platform import Account, TestPlatform


async def entries(platform: TestPlatform, account: Account) -> list[AuditEntryView]:
    """What is on record of an account's vain attempts, newest first."""
    async with platform.work(platform.system(account.tenant_id)) as work:
        found = (await work.service(AuditLog).search(work, actor_id=account.id, limit=100)).items
    return [entry for entry in found if entry.outcome != "success"]


@pytest.fixture
def pool(platform: TestPlatform) -> Iterator[BreakingPool]:
    """The application's connections; acquiring one fails when told to."""
    database: Any = platform.runtime.database
    whole = database.app
    database.app = BreakingPool(whole)
    yield database.app
    database.app = whole


async def test_what_a_service_refuses_is_on_record(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant, roles=("member", "administrator"))
    path = f"/api/v1/admin/accounts/{ada.id}/roles"
    answer = await ada.client.put(path, json={"roles": ["member", "administrator", "operator"]})
    assert answer.status_code == 403
    (entry,) = await entries(platform, ada)
    assert (entry.outcome, entry.action, entry.reason) == ("refused", "account:role.grant", "auth.operator_only")
    assert (entry.object_type, entry.object_id) == ("request", f"PUT {path}")
    assert entry.request_id == answer.headers["x-request-id"]


async def test_a_write_that_failed_is_on_record(platform: TestPlatform, tenant: UUID, pool: BreakingPool) -> None:
    ada = await platform.account(tenant, roles=("member", "administrator"))
    pool.errors.append(ZeroDivisionError())
    answer = await ada.client.put(f"/api/v1/admin/accounts/{ada.id}/status", json={"status": "active"})
    assert answer.status_code == 500
    (entry,) = await entries(platform, ada)
    assert (entry.outcome, entry.action, entry.reason) == ("failed", "account:account.disable", "internal_error")


async def test_a_read_that_failed_is_not(platform: TestPlatform, tenant: UUID, pool: BreakingPool) -> None:
    ada = await platform.account(tenant)
    pool.errors.append(ZeroDivisionError())
    assert (await ada.client.get("/api/v1/auth/me")).status_code == 500
    assert await entries(platform, ada) == []


async def test_nobody_floods_the_record(platform: TestPlatform, tenant: UUID) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    for _ in range(5):
        assert (await ada.client.get("/api/v1/admin/accounts")).status_code == 403
    assert (await bob.client.get("/api/v1/admin/accounts")).status_code == 403
    assert len(await entries(platform, ada)) == 1
    assert len(await entries(platform, bob)) == 1


async def test_the_answer_is_the_same_when_the_record_can_not_be_written(
    platform: TestPlatform, tenant: UUID, pool: BreakingPool
) -> None:
    ada = await platform.account(tenant)
    pool.errors.append(asyncpg.InternalClientError("the connection ended just now"))
    with capture_logs() as lines:
        answer = await ada.client.get("/api/v1/admin/accounts")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert pool.errors == []
    (line,) = [line for line in lines if line["event"] == "audit.not_written"]
    assert (line["account"], line["reason"]) == (str(ada.id), "lacks account:account.list")


async def test_the_next_entry_says_how_many_were_left_out(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    now = 1000.0
    notes = Refusals(platform.runtime.database, clock=lambda: now)
    for now in (1000.0, 1001.0, 1059.0, 1060.0, 1121.0):  # noqa: B007  # the clock reads it
        await notes.note(ada.principal, "hello:greeting.edit", "not yours", new_id().hex, outcome="refused")
    assert [entry.after for entry in await entries(platform, ada)] == [None, {"repeated": 2}, None]


async def test_what_could_not_be_written_counts_as_left_out(
    platform: TestPlatform, tenant: UUID, pool: BreakingPool
) -> None:
    ada = await platform.account(tenant)
    now = 1000.0
    notes = Refusals(platform.runtime.database, clock=lambda: now)
    pool.errors.append(OSError("gone"))
    for now in (1000.0, 1002.0):  # noqa: B007  # the clock reads it
        await notes.note(ada.principal, "hello:greeting.edit", "not yours", new_id().hex, outcome="refused")
    assert [entry.after for entry in await entries(platform, ada)] == [{"repeated": 1}]


async def test_memory_is_bounded_and_the_log_has_what_is_forgotten(
    platform: TestPlatform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_KEYS", 2)
    ada = await platform.account(tenant)
    notes = Refusals(platform.runtime.database)

    async def note(action: str) -> None:
        await notes.note(ada.principal, action, "not yours", new_id().hex, outcome="refused")

    with capture_logs() as lines:
        for action in ("a:b.one", "a:b.one", "a:b.two", "a:b.three", "a:b.three"):
            await note(action)
        assert len(notes._noted) == 2
        notes.close()
    assert [(line["action"], line["repeated"]) for line in lines if line["event"] == "audit.repeated"] == [
        ("a:b.one", 1),
        ("a:b.three", 1),
    ]
