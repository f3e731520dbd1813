"""Taxonomies over HTTP: shared by all tenants, found by prefix, walked by cursor."""

from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pegboard.taxonomies import repository
from pegboard.taxonomies.folding import LAST
from pegboard.taxonomies.seed import seed
from pegboard_sdk import new_id
from pegboard_sdk.taxonomies import Taxonomy, Term

from tests.kernel.taxonomies.factories import registry_with, taxonomy
from tests.support.platform import TestPlatform

LABELS = ("Blue", "Élan red", "Elm green", "élite red", "Red", "red wine", "Zinc white")


@pytest.fixture
async def colours(platform: TestPlatform) -> Taxonomy:
    brought = taxonomy(*(Term(f"c-{place}", label) for place, label in enumerate(LABELS)))
    await seed(platform.runtime.database, registry_with(brought))
    return brought


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    response = await client.get(f"/api/v1/taxonomies{path}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def test_who_is_not_logged_in_reads_them(platform: TestPlatform, tenant: UUID):
    page = await get(platform.anonymous(tenant), "/skills/terms", q="logo")
    assert page == {
        "items": [{"slug": "logo-design", "label": "Logo design", "parent": None}],
        "next_cursor": None,
    }


async def test_members_read_them(platform: TestPlatform, tenant: UUID):
    account = await platform.account(tenant)
    assert (await get(account.client, "/service_categories/terms", limit=100))["items"][0]["slug"] == (
        "architecture-and-interiors"
    )


async def test_taxonomies_are_listed_by_name(platform: TestPlatform, tenant: UUID):
    client, names, cursor = platform.anonymous(tenant), [], None
    while True:
        page = await get(client, "", limit=1, **({"cursor": cursor} if cursor else {}))
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == sorted(set(names))
    assert {"service_categories", "skills"} <= set(names)


async def test_case_and_accents_do_not_matter(platform: TestPlatform, tenant: UUID, colours: Taxonomy):
    client = platform.anonymous(tenant)
    for prefix in ("el", "ÉL", "él "):
        labels = [item["label"] for item in (await get(client, f"/{colours.name}/terms", q=prefix))["items"]]
        assert labels == ["Élan red", "élite red", "Elm green"]
    assert [item["label"] for item in (await get(client, f"/{colours.name}/terms", q="red w"))["items"]] == ["red wine"]


async def test_wildcards_are_letters_like_any_other(platform: TestPlatform, tenant: UUID, colours: Taxonomy):
    client = platform.anonymous(tenant)
    for prefix in ("%", "_", "\\", "*"):
        assert (await get(client, f"/{colours.name}/terms", q=prefix))["items"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_a_walk_sees_each_term_once(platform: TestPlatform, tenant: UUID, colours: Taxonomy, limit: int):
    client, seen, cursor = platform.anonymous(tenant), [], None
    while True:
        page = await get(client, f"/{colours.name}/terms", limit=limit, **({"cursor": cursor} if cursor else {}))
        seen += [item["label"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == limit
    assert seen == ["Blue", "Élan red", "élite red", "Elm green", "Red", "red wine", "Zinc white"]


async def test_retired_terms_are_not_listed(platform: TestPlatform, tenant: UUID, colours: Taxonomy):
    await seed(platform.runtime.database, registry_with(taxonomy(colours.terms[0], name=colours.name)))
    page = await get(platform.anonymous(tenant), f"/{colours.name}/terms")
    assert [item["label"] for item in page["items"]] == ["Blue"]


async def test_a_tree_shows_parents(platform: TestPlatform, tenant: UUID):
    tree = taxonomy(Term("red", "Red"), Term("dark-red", "Dark red", "red"))
    await seed(platform.runtime.database, registry_with(tree))
    page = await get(platform.anonymous(tenant), f"/{tree.name}/terms")
    assert [(item["slug"], item["parent"]) for item in page["items"]] == [("dark-red", "red"), ("red", None)]


async def test_a_tenant_s_own_terms_are_its_own(platform: TestPlatform, tenant: UUID, colours: Taxonomy):
    async with platform.runtime.database.transaction(tenant) as connection:
        await connection.execute(
            "INSERT INTO kernel_taxonomy_terms (id, tenant_id, taxonomy_id, slug, label, sort_key)"
            " SELECT $1, $2, id, 'ours', 'Ours', 'ours' FROM kernel_taxonomies WHERE name = $3",
            new_id(),
            tenant,
            colours.name,
        )
    path = f"/{colours.name}/terms"
    assert len((await get(platform.anonymous(tenant), path, q="ours"))["items"]) == 1
    assert (await get(platform.anonymous(await platform.tenant()), path, q="ours"))["items"] == []


@pytest.mark.parametrize("path", ["/nothing_here/terms", f"/t_{'0' * 32}/terms"])
async def test_an_unknown_taxonomy_is_404(platform: TestPlatform, tenant: UUID, path: str):
    response = await platform.anonymous(tenant).get(f"/api/v1/taxonomies{path}")
    assert response.status_code == 404
    assert response.json()["code"] == "taxonomy_not_found"


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/Not-A-Name/terms", {}),
        ("/a%00b/terms", {}),
        ("/skills/terms", {"q": "x" * 101}),
        ("/skills/terms", {"q": "\x00"}),
        ("/skills/terms", {"limit": 0}),
        ("/skills/terms", {"limit": 101}),
        ("/skills/terms", {"cursor": "nonsense"}),
        ("/skills/terms", {"cursor": "WyJhIl0"}),
        ("", {"cursor": "WyJhIiwgImIiXQ"}),
    ],
)
async def test_bad_parameters_are_400(platform: TestPlatform, tenant: UUID, path: str, params: dict[str, Any]):
    response = await platform.anonymous(tenant).get(f"/api/v1/taxonomies{path}", params=params)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_prefix_of_a_large_taxonomy_is_read_from_the_index(
    platform: TestPlatform, tenant: UUID, database_url: str
):
    large = taxonomy(*(f"colour-{number:05}" for number in range(4_000)))
    await seed(platform.runtime.database, registry_with(large))
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute("ANALYZE kernel_taxonomies, kernel_taxonomy_terms")
    finally:
        await owner.close()
    async with platform.runtime.database.reader(tenant) as connection:
        plan = await connection.fetch(
            f"EXPLAIN {repository.TERMS}", 20, large.name, "colour-01", f"colour-01{LAST}", *repository.FIRST
        )
    text = "\n".join(row[0] for row in plan)
    condition = next(line for line in text.splitlines() if "Index Cond" in line and "sort_key" in line)
    assert "kernel_taxonomy_terms_sort" in text
    assert "sort_key >=" in condition
    assert "Sort Key: t.sort_key" not in text
