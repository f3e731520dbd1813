"""Gigs from draft to archive: who may see and change them, and when."""

from typing import Any
from uuid import UUID

import pytest
from pegboard_sdk import new_id

from tests.plugins.creation_studio.factories import GIGS, draft, draft_body, publish
from tests.support.platform import Account, TestPlatform


@pytest.fixture
async def provider(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


@pytest.fixture
async def stranger(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


async def tags_of(platform: TestPlatform, gig: dict[str, Any]) -> list[str]:
    async with platform.runtime.database.system_transaction() as connection:
        rows = await connection.fetch(
            "SELECT t.slug FROM creation_studio_gig_tags g JOIN kernel_taxonomy_terms t ON t.id = g.term_id"
            " WHERE g.gig_id = $1 AND g.slug = t.slug ORDER BY t.slug",
            UUID(gig["id"]),
        )
    return [row["slug"] for row in rows]


async def audited(platform: TestPlatform, gig: dict[str, Any]) -> list[str]:
    async with platform.runtime.database.system_transaction() as connection:
        rows = await connection.fetch(
            "SELECT action FROM kernel_audit_entries WHERE object_id = $1 ORDER BY id", gig["id"]
        )
    return [row["action"] for row in rows]


async def emitted(platform: TestPlatform, tenant: UUID) -> list[str]:
    async with platform.runtime.database.system_transaction() as connection:
        rows = await connection.fetch("SELECT name FROM kernel_events WHERE tenant_id = $1 ORDER BY id", tenant)
    return [row["name"] for row in rows]


async def test_a_draft_becomes_public_and_leaves_the_market(
    platform: TestPlatform, provider: Account, stranger: Account
):
    gig = await draft(provider, category="design", tags=["logo-design", "brand-identity"])
    path = f"{GIGS}/{gig['id']}"
    assert gig["state"] == "draft"
    assert gig["owner_id"] == str(provider.id)
    assert gig["price"] == {"amount": 12_500, "currency": "EUR"}
    assert (gig["category"], gig["tags"]) == ("design", ["logo-design", "brand-identity"])
    assert gig["language"] == "en"
    assert gig["published_at"] is None
    assert await tags_of(platform, gig) == ["brand-identity", "logo-design"]

    anonymous = platform.anonymous(provider.tenant_id)
    assert (await anonymous.get(path)).status_code == 404
    published = await provider.client.post(f"{path}/publish")
    assert published.status_code == 200
    assert published.json()["state"] == "published"
    assert published.json()["published_at"] is not None
    shown = await anonymous.get(path)
    assert shown.status_code == 200
    assert shown.json()["title"] == "I will design your logo"

    assert (await provider.client.post(f"{path}/archive")).json()["state"] == "archived"
    assert (await anonymous.get(path)).status_code == 404
    assert (await stranger.client.get(path)).status_code == 404
    assert (await provider.client.get(path)).json()["state"] == "archived"

    assert await emitted(platform, provider.tenant_id) == [
        "creation_studio.gig_published",
        "creation_studio.gig_archived",
    ]
    assert await audited(platform, gig) == [
        "creation_studio:gig.create",
        "creation_studio:gig.publish",
        "creation_studio:gig.archive",
    ]


async def test_reading_and_writing_answer_the_same(provider: Account):
    published = await publish(provider, category="design", tags=["logo-design"])
    shown = await provider.client.get(f"{GIGS}/{published['id']}")
    assert shown.json() == published
    assert shown.headers["etag"] == '"2"'
    listed = (await provider.client.get(GIGS)).json()["items"][0]
    assert listed == {name: published[name] for name in listed}
    assert set(published) - set(listed) == {"description", "language", "version", "created_at", "updated_at"}


async def test_drafts_are_404_for_everybody_else(platform: TestPlatform, provider: Account, stranger: Account):
    gig = await draft(provider)
    path = f"{GIGS}/{gig['id']}"
    administrator = await platform.account(provider.tenant_id, ("member", "administrator"))
    for client in (stranger.client, administrator.client):
        assert (await client.get(path)).status_code == 404
        assert (await client.patch(path, json={}, headers={"If-Match": "*"})).status_code == 404
        assert (await client.post(f"{path}/publish")).status_code == 404
        assert (await client.post(f"{path}/archive")).status_code == 404
        assert (await client.delete(path)).status_code == 404
        assert (await client.post(f"{path}/restore")).json()["code"] == "creation_studio.gig_not_found"
    assert (await provider.client.get(path)).json() == gig


async def test_a_published_gig_is_its_owner_s_to_change(stranger: Account, provider: Account):
    gig = await publish(provider)
    path = f"{GIGS}/{gig['id']}"
    edited = await stranger.client.patch(path, json={"title": "Mine now"}, headers={"If-Match": "*"})
    archived = await stranger.client.post(f"{path}/archive")
    deleted = await stranger.client.delete(path)
    for refused in (edited, archived, deleted):
        assert refused.status_code == 403
        assert refused.json()["code"] == "creation_studio.not_your_gig"
    assert (await provider.client.get(path)).json() == gig


async def test_a_moderator_archives_but_does_not_edit(platform: TestPlatform, provider: Account):
    gig = await publish(provider)
    path = f"{GIGS}/{gig['id']}"
    moderator = await platform.account(provider.tenant_id, ("member", "administrator"))
    edited = await moderator.client.patch(path, json={"title": "Tidied up"}, headers={"If-Match": "*"})
    assert edited.json()["code"] == "creation_studio.not_your_gig"
    assert (await moderator.client.post(f"{path}/archive")).json()["state"] == "archived"
    assert (await moderator.client.get(path)).status_code == 200
    assert (await provider.client.post(f"{path}/publish")).json()["code"] == "creation_studio.gig_in_wrong_state"


async def test_who_is_not_logged_in_only_reads(platform: TestPlatform, provider: Account):
    anonymous = platform.anonymous(provider.tenant_id)
    assert (await anonymous.post(GIGS, json=draft_body())).status_code == 401
    assert (await anonymous.get(f"{GIGS}/mine")).status_code == 401
    assert (await anonymous.get(GIGS)).status_code == 200


async def test_other_tenants_see_nothing(platform: TestPlatform, provider: Account):
    gig = await publish(provider, tags=["logo-design"])
    elsewhere = await platform.account(await platform.tenant())
    assert (await elsewhere.client.get(f"{GIGS}/{gig['id']}")).status_code == 404
    assert (await elsewhere.client.get(GIGS)).json()["items"] == []
    assert (await elsewhere.client.get(f"{GIGS}/search", params={"q": "logo"})).json()["items"] == []
    for action in ("publish", "archive", "restore"):
        assert (await elsewhere.client.post(f"{GIGS}/{gig['id']}/{action}")).status_code == 404
    async with platform.runtime.database.reader(elsewhere.tenant_id) as connection:
        for table in ("creation_studio_gigs", "creation_studio_gig_tags"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize(
    ("state", "action", "status"),
    [
        ("draft", "publish", 200),
        ("draft", "archive", 200),
        ("draft", "edit", 200),
        ("draft", "delete", 204),
        ("published", "publish", 409),
        ("published", "archive", 200),
        ("published", "edit", 200),
        ("published", "delete", 409),
        ("archived", "publish", 409),
        ("archived", "archive", 409),
        ("archived", "edit", 409),
        ("archived", "delete", 204),
    ],
)
async def test_what_a_state_allows(provider: Account, state: str, action: str, status: int):
    gig = await draft(provider)
    path = f"{GIGS}/{gig['id']}"
    if state != "draft":
        await provider.client.post(f"{path}/publish")
    if state == "archived":
        await provider.client.post(f"{path}/archive")
    if action == "edit":
        response = await provider.client.patch(path, json={"delivery_days": 9}, headers={"If-Match": "*"})
    elif action == "delete":
        response = await provider.client.delete(path)
    else:
        response = await provider.client.post(f"{path}/{action}")
    assert response.status_code == status, response.text
    if status == 409:
        assert response.json()["code"] == "creation_studio.gig_in_wrong_state"


class TestEditing:
    """`PATCH`: what is left out stays, and nobody overwrites what they have not seen."""

    async def test_only_what_was_sent_changes(self, platform: TestPlatform, provider: Account):
        gig = await draft(provider, category="design", tags=["logo-design", "illustration"])
        edited = await provider.client.patch(
            f"{GIGS}/{gig['id']}",
            json={"title": "  I will draw your logo ", "price": {"amount": 99, "currency": "USD"}},
            headers={"If-Match": '"1"'},
        )
        assert edited.status_code == 200
        assert edited.headers["etag"] == '"2"'
        assert edited.json() == gig | {
            "title": "I will draw your logo",
            "price": {"amount": 99, "currency": "USD"},
            "version": 2,
            "updated_at": edited.json()["updated_at"],
        }
        assert edited.json()["updated_at"] > gig["updated_at"]
        assert await tags_of(platform, gig) == ["illustration", "logo-design"]

    async def test_tags_and_category_are_replaced_and_cleared(self, platform: TestPlatform, provider: Account):
        gig = await publish(provider, category="design", tags=["logo-design", "illustration"])
        path = f"{GIGS}/{gig['id']}"
        edited = await provider.client.patch(
            path, json={"tags": ["illustration", "animation"], "category": "marketing"}, headers={"If-Match": "*"}
        )
        assert edited.json()["tags"] == ["illustration", "animation"]
        assert edited.json()["category"] == "marketing"
        assert await tags_of(platform, gig) == ["animation", "illustration"]
        cleared = await provider.client.patch(path, json={"tags": [], "category": None}, headers={"If-Match": "*"})
        assert (cleared.json()["tags"], cleared.json()["category"]) == ([], None)
        assert await tags_of(platform, gig) == []

    async def test_a_stale_version_is_412_and_none_is_428(self, provider: Account):
        gig = await draft(provider)
        path = f"{GIGS}/{gig['id']}"
        body = {"delivery_days": 9}
        missing = await provider.client.patch(path, json=body)
        assert (missing.status_code, missing.json()["code"]) == (428, "if_match_required")
        assert (await provider.client.patch(path, json=body, headers={"If-Match": '"1"'})).status_code == 200
        stale = await provider.client.patch(path, json={"delivery_days": 10}, headers={"If-Match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
        assert (await provider.client.get(path)).json()["delivery_days"] == 9

    async def test_publishing_changes_the_version(self, provider: Account):
        gig = await draft(provider)
        path = f"{GIGS}/{gig['id']}"
        await provider.client.post(f"{path}/publish")
        stale = await provider.client.patch(path, json={"delivery_days": 9}, headers={"If-Match": '"1"'})
        assert stale.status_code == 412

    @pytest.mark.parametrize("body", [{}, {"title": "I will design your logo"}, {"tags": ["logo-design"]}])
    async def test_no_difference_is_no_new_version(
        self, platform: TestPlatform, provider: Account, body: dict[str, Any]
    ):
        gig = await draft(provider, tags=["logo-design"])
        edited = await provider.client.patch(f"{GIGS}/{gig['id']}", json=body, headers={"If-Match": '"1"'})
        assert edited.json() == gig
        assert await audited(platform, gig) == ["creation_studio:gig.create"]

    async def test_the_audit_shows_what_changed(self, platform: TestPlatform, provider: Account):
        gig = await draft(provider)
        await provider.client.patch(
            f"{GIGS}/{gig['id']}",
            json={"description": "Long. " * 100, "delivery_days": 9},
            headers={"If-Match": "*"},
        )
        async with platform.runtime.database.system_transaction() as connection:
            entry = await connection.fetchrow(
                "SELECT before::text, after::text FROM kernel_audit_entries WHERE object_id = $1 AND action = $2",
                gig["id"],
                "creation_studio:gig.edit",
            )
        assert "delivery_days" in entry["before"]
        assert "9" in entry["after"]
        assert "Long" not in entry["after"]


class TestDeleting:
    """A deletion can be undone."""

    async def test_a_deleted_gig_is_gone_until_it_is_restored(self, provider: Account):
        gig = await draft(provider)
        path = f"{GIGS}/{gig['id']}"
        assert (await provider.client.delete(path)).status_code == 204
        assert (await provider.client.delete(path)).status_code == 204
        assert (await provider.client.get(path)).status_code == 404
        assert (await provider.client.post(f"{path}/publish")).status_code == 404
        assert (await provider.client.patch(path, json={}, headers={"If-Match": "*"})).status_code == 404
        assert (await provider.client.get(f"{GIGS}/mine")).json()["items"] == []
        restored = await provider.client.post(f"{path}/restore")
        assert restored.status_code == 200
        assert restored.json()["state"] == "draft"
        assert (await provider.client.get(path)).json() == restored.json()

    async def test_restoring_what_is_there_changes_nothing(self, platform: TestPlatform, provider: Account):
        gig = await draft(provider)
        assert (await provider.client.post(f"{GIGS}/{gig['id']}/restore")).json() == gig
        assert await audited(platform, gig) == ["creation_studio:gig.create"]


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"title": "Logo"}, 400, "/title"),
        ({"title": "x" * 121}, 400, "/title"),
        ({"title": "two\nlines"}, 400, "/title"),
        ({"title": "       "}, 422, "/title"),
        ({"title": 12345}, 400, "/title"),
        ({"description": "x" * 10_001}, 400, "/description"),
        ({"description": "\x00"}, 400, "/description"),
        ({"price": {"amount": 0, "currency": "EUR"}}, 400, "/price/amount"),
        ({"price": {"amount": 1_000_000_001, "currency": "EUR"}}, 400, "/price/amount"),
        ({"price": {"amount": 10.5, "currency": "EUR"}}, 400, "/price/amount"),
        ({"price": {"amount": 10, "currency": "eur"}}, 400, "/price/currency"),
        ({"price": {"amount": 10, "currency": "XTS"}}, 422, "/price/currency"),
        ({"delivery_days": 0}, 400, "/delivery_days"),
        ({"delivery_days": 366}, 400, "/delivery_days"),
        ({"language": "english"}, 400, "/language"),
        ({"category": "no-such-category"}, 422, "/category"),
        ({"tags": ["logo-design"] * 11}, 400, "/tags"),
        ({"tags": ["Logo Design"]}, 400, "/tags/0"),
        ({"tags": ["logo-design", "logo-design", "no-such-skill"]}, 422, "/tags/2"),
        ({"owner_id": str(new_id())}, 400, "/owner_id"),
    ],
)
async def test_a_refused_value_is_named(provider: Account, changes: dict[str, Any], status: int, pointer: str):
    created = await provider.client.post(GIGS, json=draft_body(**changes))
    assert created.status_code == status, created.text
    assert [error["pointer"] for error in created.json()["errors"]] == [pointer]
    gig = await draft(provider)
    edited = await provider.client.patch(f"{GIGS}/{gig['id']}", json=changes, headers={"If-Match": "*"})
    assert edited.status_code == status, edited.text
    assert [error["pointer"] for error in edited.json()["errors"]] == [pointer]
    assert (await provider.client.get(f"{GIGS}/{gig['id']}")).json() == gig


async def test_the_limits_are_allowed(provider: Account):
    body = draft_body(
        title="x" * 120,
        description="y" * 10_000,
        price={"amount": 1_000_000_000, "currency": "GBP"},
        delivery_days=365,
        language="xx",
    )
    gig = await draft(provider, **body)
    assert {name: gig[name] for name in body} == body


async def test_a_tag_that_is_there_twice_counts_once(platform: TestPlatform, provider: Account):
    gig = await draft(provider, tags=["logo-design", "illustration", "logo-design"])
    assert gig["tags"] == ["logo-design", "illustration"]
    assert await tags_of(platform, gig) == ["illustration", "logo-design"]


@pytest.mark.parametrize("missing", ["title", "price", "delivery_days"])
async def test_what_a_gig_needs(provider: Account, missing: str):
    body = draft_body()
    del body[missing]
    response = await provider.client.post(GIGS, json=body)
    assert response.status_code == 400
    assert missing in response.text
