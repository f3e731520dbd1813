"""Finding entries: every filter, every page, and an index for each."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard_sdk.errors import InvalidCursor
from pegboard_sdk.services import AuditEntryView, AuditLog
from pegboard_sdk.work import UnitOfWork

from tests.support.platform import TestPlatform

ACTIONS = ("hello:greeting.add", "hello:greeting.edit", "bye:wave.add")
OBJECTS = ("1", "2", "3")


async def every_page(uow: UnitOfWork, limit: int, **filters: object) -> list[AuditEntryView]:
    found: list[AuditEntryView] = []
    cursor: str | None = None
    while True:
        page = await uow.service(AuditLog).search(uow, limit=limit, cursor=cursor, **filters)  # type: ignore[arg-type]  # drawn below
        assert len(page.items) == limit or page.next_cursor is None
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(OBJECTS)), max_size=12),
    limit=st.integers(1, 5),
)
async def test_pages_hold_each_matching_entry_once_newest_first(
    platform: TestPlatform, written: list[tuple[str, str]], limit: int
) -> None:
    tenant = await platform.tenant()
    async with platform.work(platform.system(tenant)) as work:
        for action, object_id in written:
            await work.audit(action, object_type="thing", object_id=object_id)
        newest = written[::-1]
        every = await every_page(work, limit)
        assert [(entry.action, entry.object_id) for entry in every] == newest
        for action in ACTIONS:
            found = await every_page(work, limit, action=action)
            assert [(entry.action, entry.object_id) for entry in found] == [one for one in newest if one[0] == action]
        for object_id in OBJECTS:
            found = await every_page(work, limit, object_id=object_id, object_type="thing")
            assert [(entry.action, entry.object_id) for entry in found] == [
                one for one in newest if one[1] == object_id
            ]


async def test_by_actor_outcome_and_kind(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    async with platform.work(ada) as work:
        await work.audit("hello:greeting.add", object_type="greeting", object_id=None)
    refused = await ada.client.get("/api/v1/admin/accounts")
    assert refused.status_code == 403
    async with platform.work(platform.system(tenant)) as work:
        audit = work.service(AuditLog)
        by_ada = (await audit.search(work, actor_id=ada.id)).items
        assert {entry.actor_kind for entry in by_ada} == {"account"}
        (entry,) = (await audit.search(work, actor_id=ada.id, outcome="refused")).items
        assert (entry.action, entry.reason) == ("account:account.list", "lacks account:account.list")
        (entry,) = (await audit.search(work, actor_id=ada.id, object_type="greeting")).items
        assert entry.action == "hello:greeting.add"
        assert (await audit.search(work, actor_id=ada.id, object_type="wave")).items == []


async def test_by_time(platform: TestPlatform, tenant: UUID) -> None:
    async with platform.work(platform.system(tenant)) as work:
        for object_id in OBJECTS:
            await work.audit("hello:greeting.add", object_type="greeting", object_id=object_id)
        audit = work.service(AuditLog)
        third, second, first = (await audit.search(work)).items
        found = (await audit.search(work, since=second.occurred_at, until=third.occurred_at)).items
        assert [entry.id for entry in found] == [second.id]
        assert len((await audit.search(work, since=first.occurred_at)).items) == 3
        assert (await audit.search(work, since=third.occurred_at + timedelta(hours=1))).items == []


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)), None])
async def test_the_ends_of_the_calendar_are_times_too(
    platform: TestPlatform, tenant: UUID, zone: timezone | None
) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.audit("hello:greeting.add", object_type="greeting", object_id="1")
        audit = work.service(AuditLog)
        beginning, end = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
        assert len((await audit.search(work, since=beginning, until=end)).items) == 1
        assert (await audit.search(work, until=beginning)).items == []
        assert (await audit.search(work, since=end)).items == []


async def test_a_cursor_of_something_else_is_refused(platform: TestPlatform, tenant: UUID) -> None:
    async with platform.work(platform.system(tenant)) as work:
        with pytest.raises(InvalidCursor):
            await work.service(AuditLog).search(work, cursor="W10")


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ("", "kernel_audit_entries_tenant_id_id_key"),
        ("AND actor_id = $2", "kernel_audit_entries_actor"),
        ("AND action = $2", "kernel_audit_entries_action"),
        ("AND object_id = $2", "kernel_audit_entries_object"),
    ],
)
async def test_the_newest_entries_come_from_an_index(
    platform: TestPlatform, tenant: UUID, filters: str, index: str
) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("SET LOCAL enable_seqscan = off")
        await work.execute("SET LOCAL enable_sort = off")
        values = [tenant, *([str(tenant) if "actor" not in filters else tenant] if filters else [])]
        plan = await work.fetch(
            f"EXPLAIN SELECT * FROM kernel_audit_entries WHERE tenant_id = $1 {filters} ORDER BY id DESC LIMIT 20",
            *values,
        )
    text = "\n".join(row[0] for row in plan)
    assert f"Index Scan Backward using {index} " in text, text
    assert "Sort" not in text
