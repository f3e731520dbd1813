"""Lists of gigs: each gig once, in one statement, from an index, with a plan that PostgreSQL keeps."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard.work import Work
from pegboard_creation_studio.repository.gigs import SEARCH, own_sql, published_sql
from pegboard_creation_studio.schemas import GigSummary
from pegboard_creation_studio.service.gigs import GigService
from pegboard_sdk.pagination import Page, encode_cursor

from tests.plugins.creation_studio.factories import GIGS, draft, insert_gigs, publish, walk
from tests.support.platform import Account, TestPlatform

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.fixture
async def provider(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


# Few different times, so that many are equal.
times = st.lists(st.integers(0, 3).map(lambda minutes: NOW + timedelta(minutes=minutes)), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=times, limit=st.integers(1, 13))
async def test_a_walk_sees_each_gig_once_newest_first(platform: TestPlatform, times: list[datetime], limit: int):
    account = await platform.account(await platform.tenant())
    ids = await insert_gigs(platform, account, times)
    seen = [UUID(item["id"]) for item in await walk(account.client, GIGS, limit=limit)]
    assert seen == [gig_id for _, gig_id in sorted(zip(times, ids, strict=True), reverse=True)]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_one_s_own_gigs_in_all_states_the_last_drafted_first(provider: Account, limit: int):
    gigs = [await draft(provider) for _ in range(3)] + [await publish(provider) for _ in range(3)]
    archived = gigs[-1]["id"]
    await provider.client.post(f"{GIGS}/{archived}/archive")
    items = await walk(provider.client, f"{GIGS}/mine", limit=limit)
    assert [item["id"] for item in items] == [gig["id"] for gig in reversed(gigs)]
    assert [item["state"] for item in items] == ["archived", "published", "published", "draft", "draft", "draft"]


async def test_filters_combine(platform: TestPlatform, provider: Account):
    other = await platform.account(provider.tenant_id)
    logo = await publish(provider, category="design", tags=["logo-design", "illustration"])
    poster = await publish(provider, category="design", tags=["illustration"])
    slogan = await publish(other, category="marketing", tags=["copywriting", "illustration"])
    await draft(provider, category="design", tags=["logo-design"])

    async def found(**filters: Any) -> list[str]:
        return [item["id"] for item in await walk(provider.client, GIGS, limit=1, **filters)]

    assert await found() == [slogan["id"], poster["id"], logo["id"]]
    assert await found(tag="illustration") == [slogan["id"], poster["id"], logo["id"]]
    assert await found(tag="logo-design") == [logo["id"]]
    assert await found(owner=str(provider.id)) == [poster["id"], logo["id"]]
    assert await found(category="design", tag="illustration", owner=str(provider.id)) == [poster["id"], logo["id"]]
    assert await found(category="design", owner=str(other.id)) == []
    assert await found(tag="no-such-tag") == []


async def test_an_archived_gig_leaves_the_list(provider: Account):
    gig = await publish(provider)
    assert len(await walk(provider.client, GIGS)) == 1
    await provider.client.post(f"{GIGS}/{gig['id']}/archive")
    assert await walk(provider.client, GIGS) == []


async def test_texts_that_json_must_escape_come_through(provider: Account):
    title = 'A "quoted" \\ title / \u2028 über 設計 \U0001f3a8'
    await publish(provider, title=title)
    assert (await provider.client.get(GIGS)).json()["items"][0]["title"] == title


async def test_the_page_is_what_its_schema_says(platform: TestPlatform, provider: Account):
    await insert_gigs(platform, provider, [NOW, NOW + timedelta(microseconds=1)])
    await draft(provider)
    for path in (GIGS, f"{GIGS}/mine"):
        raw = (await provider.client.get(path, params={"limit": 1})).content
        page = msgspec.json.decode(raw, type=Page[GigSummary])
        fields = {field.name for field in msgspec.structs.fields(GigSummary)}
        assert set(msgspec.json.decode(raw)["items"][0]) == fields
        assert page.next_cursor is not None
    page = msgspec.json.decode((await provider.client.get(GIGS)).content, type=Page[GigSummary])
    assert [item.published_at for item in page.items] == [NOW + timedelta(microseconds=1), NOW]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        encode_cursor("2026"),
        encode_cursor("yesterday", "x"),
        encode_cursor(NOW),
        "WyJhIiwgMSwgMl0",
        "=" * 9,
    ],
)
@pytest.mark.parametrize("path", [GIGS, f"{GIGS}/search"])
async def test_a_cursor_of_another_list_is_refused(platform: TestPlatform, tenant: UUID, path: str, cursor: str):
    response = await platform.anonymous(tenant).get(path, params={"q": "logo", "cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        (GIGS, encode_cursor("0001-01-01T00:00:00+23:59", UUID(int=0))),
        (GIGS, encode_cursor("9999-12-31T23:59:59-23:59", UUID(int=2**128 - 1))),
        (f"{GIGS}/search", encode_cursor(1e300, UUID(int=0))),
        (f"{GIGS}/search", encode_cursor(-1e300, UUID(int=0))),
    ],
)
async def test_a_cursor_beyond_what_postgresql_can_hold_is_no_fault_of_ours(
    platform: TestPlatform, tenant: UUID, path: str, cursor: str
):
    response = await platform.anonymous(tenant).get(path, params={"q": "logo", "cursor": cursor})
    assert response.status_code in (200, 400, 422)


@pytest.mark.parametrize(
    "params",
    [{"owner": "me"}, {"tag": "Logo Design"}, {"category": "%"}, {"limit": 0}, {"limit": 101}, {"tag": "x" * 101}],
)
async def test_bad_filters_are_400(platform: TestPlatform, tenant: UUID, params: dict[str, Any]):
    response = await platform.anonymous(tenant).get(GIGS, params=params)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == list(params)


async def test_a_list_is_one_statement_whatever_its_length(platform: TestPlatform, provider: Account):
    await insert_gigs(platform, provider, 50, title="Logo number {0}")
    async with platform.runtime.database.reader(provider.tenant_id) as connection:
        for limit in (1, 50):
            work = CountingWork(connection, platform.runtime, platform.registry, provider.principal, "request")
            service = GigService(work)
            published = await service.list_published(owner_id=None, category=None, tag=None, limit=limit, cursor=None)
            own = await service.list_own(limit=limit, cursor=None)
            found = await service.search("logo", language=None, limit=limit, cursor=None)
            assert work.statements == 3
            for page in (published, own, found):
                assert len(msgspec.json.decode(page)["items"]) == limit


class CountingWork(Work):
    """A unit of work that counts its statements."""

    statements = 0

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        self.statements += 1
        return await super().fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        self.statements += 1
        return await super().fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        self.statements += 1
        return await super().fetchval(sql, *args)


@pytest.fixture(scope="module")
async def crowded(platform: TestPlatform, database_url: str) -> Account:
    """A provider with many gigs, in a tenant with more; known to the planner."""
    account = await platform.account(await platform.tenant())
    other = await platform.account(account.tenant_id)
    for owner in (account, other):
        moments = [NOW + timedelta(seconds=second) for second in range(4_000)]
        await insert_gigs(platform, owner, moments, title="Common gig number {0}", description="rare{0} words")
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute("VACUUM ANALYZE creation_studio_gigs")
    finally:
        await owner.close()
    return account


ALL: dict[str, Any] = {"owner": False, "category": False, "tag": False, "after": False}


@pytest.mark.parametrize(
    ("sql", "filters", "index"),
    [
        (published_sql(**ALL), [], "creation_studio_gigs_newest"),
        (published_sql(**ALL | {"after": True}), [NOW, UUID(int=0)], "creation_studio_gigs_newest"),
        (published_sql(**ALL | {"owner": True}), ["owner"], "creation_studio_gigs_owner_newest"),
        (published_sql(**ALL | {"category": True}), ["design"], "creation_studio_gigs_category_newest"),
        (own_sql(after=False), ["owner"], "creation_studio_gigs_owner"),
        (own_sql(after=True), ["owner", UUID(int=2**127)], "creation_studio_gigs_owner"),
    ],
)
async def test_lists_come_sorted_from_an_index(
    platform: TestPlatform, crowded: Account, sql: str, filters: list[Any], index: str
):
    arguments = [crowded.id if value == "owner" else value for value in filters]
    async with platform.runtime.database.reader(crowded.tenant_id) as connection:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", 20, *arguments))
    assert f"using {index} on" in plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


async def plan_of_search(connection: Any, words: str) -> str:
    """The plan of what `creation_studio_search_gigs` runs inside, which EXPLAIN of a call doesn't show."""
    body = await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'creation_studio_search_gigs'")
    plan = await connection.fetch(f"EXPLAIN {body}", words, "en", None, None)
    return "\n".join(row[0] for row in plan)


async def test_search_reads_the_index(platform: TestPlatform, crowded: Account):
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(f"SET LOCAL application_name = 'pegboard:{crowded.tenant_id}'")
        plan = await plan_of_search(connection, "rare17")
        function = await connection.fetchrow(
            "SELECT pg_get_userbyid(proowner) AS owner, prosecdef, proconfig FROM pg_proc"
            " WHERE proname = 'creation_studio_search_gigs'"
        )
    assert "Bitmap Index Scan on creation_studio_gigs_document" in plan
    assert tuple(function) == ("pegboard_system", True, ["search_path=pg_catalog, pg_temp"])


async def test_the_same_search_under_row_level_security_does_not(platform: TestPlatform, crowded: Account):
    """Why the function is there: as the application, PostgreSQL won't ask `@@` before the policy has filtered."""
    async with platform.runtime.database.reader(crowded.tenant_id) as connection:
        plan = await plan_of_search(connection, "rare17")
    assert "creation_studio_gigs_document" not in plan


async def test_search_is_one_statement_with_rows_read_under_row_level_security(
    platform: TestPlatform, crowded: Account
):
    async with platform.runtime.database.reader(crowded.tenant_id) as connection:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {SEARCH}", 20, "rare17", "en", None, None))
    assert "Function Scan on creation_studio_search_gigs" in plan
    assert "kernel_current_tenant" in plan or "tenant_id = (InitPlan" in plan
    assert "Seq Scan" not in plan
