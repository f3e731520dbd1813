"""What was done is on record if and only if it was done, and the record can't be changed by anybody."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.audit.writer import record_refusal
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditEntryView, AuditLog
from pegboard_sdk.settings import Secret

from tests.support.platform import TestPlatform

CHANGES = (
    "UPDATE kernel_audit_entries SET action = 'x'",
    "DELETE FROM kernel_audit_entries",
    "TRUNCATE kernel_audit_entries",
)


async def entries(platform: TestPlatform, tenant: UUID) -> list[AuditEntryView]:
    async with platform.work(platform.system(tenant)) as work:
        return (await work.service(AuditLog).search(work, limit=100)).items


async def test_an_entry_commits_with_what_it_tells_of(platform: TestPlatform, tenant: UUID) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.audit(
            "hello:greeting.edit", object_type="greeting", object_id="1", before={"text": "a"}, after={"text": "b"}
        )
    (entry,) = await entries(platform, tenant)
    assert (entry.action, entry.object_type, entry.object_id) == ("hello:greeting.edit", "greeting", "1")
    assert (entry.before, entry.after, entry.outcome) == ({"text": "a"}, {"text": "b"}, "success")
    assert (entry.actor_kind, entry.actor_id, entry.request_id) == ("system", None, work.request_id)


async def test_nothing_is_on_record_of_what_was_rolled_back(platform: TestPlatform, tenant: UUID) -> None:
    async def fail() -> None:
        async with platform.work(platform.system(tenant)) as work:
            await work.audit("hello:greeting.edit", object_type="greeting", object_id="1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await entries(platform, tenant) == []


async def test_a_refusal_is_on_record_though_nothing_was_done(platform: TestPlatform, tenant: UUID) -> None:
    request_id = new_id().hex
    await record_refusal(
        platform.runtime, platform.system(tenant), "hello:greeting.edit", "not the owner", request_id,
        object_type="greeting", object_id=new_id(),
    )  # fmt: skip
    (entry,) = await entries(platform, tenant)
    assert (entry.outcome, entry.reason, entry.request_id) == ("refused", "not the owner", request_id)


async def test_secrets_do_not_get_into_entries(platform: TestPlatform, tenant: UUID) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.audit("hello:key.set", object_type="key", object_id="1", after={"key": Secret("very secret")})
    (entry,) = await entries(platform, tenant)
    assert entry.after == {"key": "***"}


async def test_what_has_no_meaning_in_json_is_refused(platform: TestPlatform, tenant: UUID) -> None:
    with pytest.raises(TypeError, match="can't hold"):
        async with platform.work(platform.system(tenant)) as work:
            await work.audit("hello:key.set", object_type="key", object_id="1", after={"key": object()})


@pytest.mark.parametrize("statement", CHANGES)
async def test_the_roles_that_run_us_may_not_change_entries(
    platform: TestPlatform, tenant: UUID, statement: str
) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.audit("hello:greeting.edit", object_type="greeting", object_id="1")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with platform.work(platform.system(tenant)) as work:
            await work.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with platform.runtime.database.system_transaction() as connection:
            await connection.execute(statement)
    assert len(await entries(platform, tenant)) == 1


@pytest.mark.parametrize("role", ["pegboard_owner", "a superuser", "a superuser in replica mode"])
@pytest.mark.parametrize("statement", CHANGES)
async def test_the_owner_and_superusers_run_into_the_triggers(
    platform: TestPlatform, tenant: UUID, superuser: Any, role: str, statement: str
) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.audit("hello:greeting.edit", object_type="greeting", object_id="1")
    if role == "pegboard_owner":
        await superuser.execute("SET ROLE pegboard_owner")
    elif role == "a superuser in replica mode":
        await superuser.execute("SET session_replication_role = replica")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="can't be changed or removed"):
        await superuser.execute(statement)
    assert len(await entries(platform, tenant)) == 1


async def test_a_tenant_neither_sees_nor_writes_anothers_entries(platform: TestPlatform, tenant: UUID) -> None:
    other = await platform.tenant()
    async with platform.work(platform.system(tenant)) as work:
        await work.audit("hello:greeting.edit", object_type="greeting", object_id="1")
    assert await entries(platform, other) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with platform.work(platform.system(other)) as work:
            await work.execute(
                "INSERT INTO kernel_audit_entries (id, tenant_id, actor_kind, action, object_type, request_id)"
                " VALUES ($1, $2, 'system', 'a:b.c', 'x', 'y')",
                new_id(),
                tenant,
            )
