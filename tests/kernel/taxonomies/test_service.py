"""Plugins look terms up by slug."""

import csv
import os
from pathlib import Path
from uuid import UUID

import pytest
from pegboard.taxonomies.folding import fold
from pegboard.taxonomies.seed import SeedReport, seed
from pegboard.taxonomies.service import TermUnknown
from pegboard_sdk import new_id
from pegboard_sdk.errors import FieldError
from pegboard_sdk.services import Taxonomies
from pegboard_sdk.taxonomies import Term

from tests.kernel.taxonomies.factories import registry_with, taxonomy
from tests.support.platform import TestPlatform


async def test_terms_come_in_the_order_that_was_asked_for(platform: TestPlatform, tenant: UUID):
    colours = taxonomy(Term("red", "Red"), Term("blue", "Blue"), Term("green", "Green"))
    await seed(platform.runtime.database, registry_with(colours))
    async with platform.work(platform.system(tenant)) as uow:
        terms = await uow.service(Taxonomies).resolve(uow, colours.name, ["green", "red", "green"])
    assert [(term.slug, term.label) for term in terms] == [("green", "Green"), ("red", "Red"), ("green", "Green")]
    assert terms[0].id == terms[2].id != terms[1].id


async def test_unknown_and_retired_terms_are_named_by_their_place(platform: TestPlatform, tenant: UUID):
    colours = taxonomy("red", "blue")
    await seed(platform.runtime.database, registry_with(colours))
    await seed(platform.runtime.database, registry_with(taxonomy("red", name=colours.name)))
    async with platform.work(platform.system(tenant)) as uow:
        with pytest.raises(TermUnknown) as refusal:
            await uow.service(Taxonomies).resolve(uow, colours.name, ["red", "blue", "tall"])
    assert refusal.value.errors == (
        FieldError("/1", f"'blue' is not a term of {colours.name}"),
        FieldError("/2", f"'tall' is not a term of {colours.name}"),
    )


async def test_nothing_of_an_unknown_taxonomy_is_known(platform: TestPlatform, tenant: UUID):
    async with platform.work(platform.system(tenant)) as uow:
        assert await uow.service(Taxonomies).resolve(uow, "no_such_taxonomy", []) == []
        with pytest.raises(TermUnknown):
            await uow.service(Taxonomies).resolve(uow, "no_such_taxonomy", ["red"])


async def test_a_tenant_s_own_term_comes_before_a_shared_one(platform: TestPlatform, tenant: UUID):
    colours = taxonomy("red")
    await seed(platform.runtime.database, registry_with(colours))
    async with platform.work(platform.system(tenant)) as uow:
        await uow.execute(
            "INSERT INTO kernel_taxonomy_terms (id, tenant_id, taxonomy_id, slug, label, sort_key)"
            " SELECT $1, $2, id, 'red', 'Our red', 'our red' FROM kernel_taxonomies WHERE name = $3",
            new_id(),
            tenant,
            colours.name,
        )
        assert (await uow.service(Taxonomies).resolve(uow, colours.name, ["red"]))[0].label == "Our red"
    async with platform.work(platform.system(await platform.tenant())) as uow:
        assert (await uow.service(Taxonomies).resolve(uow, colours.name, ["red"]))[0].label == "red"


@pytest.fixture(scope="module")
def skills() -> list[Term]:
    """ESCO's skills, from a CSV of `id,description` in `shared/data` beside the checkout, or where PEGBOARD_TEST_ESCO
    says.
    """
    checkout = Path(__file__).parents[3]
    file = Path(os.environ.get("PEGBOARD_TEST_ESCO", checkout.parent / "shared" / "data" / "esco-skills.csv"))
    if not file.exists():
        pytest.skip(f"there is no {file.name}: PEGBOARD_TEST_ESCO can name the European ESCO classification of skills")
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [Term(row["id"].rpartition("/")[2].lower(), row["description"].strip()[:200]) for row in rows]


async def test_a_real_classification_of_thousands_of_skills(platform: TestPlatform, tenant: UUID, skills: list[Term]):
    esco = taxonomy(*skills)
    database = platform.runtime.database
    assert (await seed(database, registry_with(esco))).added == len(skills) > 10_000
    assert await seed(database, registry_with(esco)) == SeedReport()

    client, seen, cursor = platform.anonymous(tenant), [], None
    while True:
        page = (
            await client.get(
                f"/api/v1/taxonomies/{esco.name}/terms",
                params={"q": "manage", "limit": 100} | ({"cursor": cursor} if cursor else {}),
            )
        ).json()
        seen += [item["slug"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    wanted = [term.slug for term in skills if fold(term.label).startswith("manage")]
    assert sorted(seen) == sorted(wanted)
    assert len(seen) > 100
