"""Seeding makes the database hold what plugins bring, and writes nothing where it does already."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.plugins.registry import Registry
from pegboard.taxonomies.seed import SeedReport, problems, seed
from pegboard_sdk.taxonomies import Taxonomy, Term

from tests.kernel.taxonomies.factories import fresh_name, loaded, registry_with, taxonomy
from tests.support.platform import TestPlatform

TREE = (Term("red", "Red"), Term("dark-red", "Dark red", "red"), Term("blue", "Blue"))
ROWS = """
SELECT t.slug, t.label, p.slug AS parent, t.retired_at IS NOT NULL AS retired, t.xmin::text AS written
FROM kernel_taxonomies x JOIN kernel_taxonomy_terms t ON t.taxonomy_id = x.id
LEFT JOIN kernel_taxonomy_terms p ON p.id = t.parent_id
WHERE x.name = $1 ORDER BY t.slug
"""


async def rows(platform: TestPlatform, name: str) -> list[tuple[Any, ...]]:
    async with platform.runtime.database.system_transaction() as connection:
        return [tuple(row) for row in await connection.fetch(ROWS, name)]


async def terms(platform: TestPlatform, name: str) -> list[tuple[Any, ...]]:
    """(slug, label, parent, retired) by slug."""
    return [row[:4] for row in await rows(platform, name)]


async def test_terms_and_their_tree_are_written(platform: TestPlatform):
    colours = taxonomy(*TREE)
    report = await seed(platform.runtime.database, registry_with(colours))
    assert report == SeedReport(added=3)
    assert await terms(platform, colours.name) == [
        ("blue", "Blue", None, False),
        ("dark-red", "Dark red", "red", False),
        ("red", "Red", None, False),
    ]


async def test_a_child_may_come_before_its_parent(platform: TestPlatform):
    colours = taxonomy(*reversed(TREE))
    await seed(platform.runtime.database, registry_with(colours))
    assert ("dark-red", "Dark red", "red", False) in await terms(platform, colours.name)


async def test_the_second_run_writes_nothing(platform: TestPlatform):
    colours = taxonomy(*TREE)
    await seed(platform.runtime.database, registry_with(colours))
    before = await rows(platform, colours.name)
    assert await seed(platform.runtime.database, registry_with(colours)) == SeedReport()
    assert await rows(platform, colours.name) == before


async def test_a_changed_label_and_parent_are_followed(platform: TestPlatform):
    colours = taxonomy(*TREE)
    await seed(platform.runtime.database, registry_with(colours))
    changed = Taxonomy(
        name=colours.name,
        title="Colors",
        terms=[Term("red", "Red"), Term("dark-red", "Crimson", None), Term("blue", "Blue", "red")],
    )
    assert await seed(platform.runtime.database, registry_with(changed)) == SeedReport(changed=2)
    assert await terms(platform, colours.name) == [
        ("blue", "Blue", "red", False),
        ("dark-red", "Crimson", None, False),
        ("red", "Red", None, False),
    ]


async def test_a_term_that_is_gone_is_retired_and_may_come_back(platform: TestPlatform):
    colours = taxonomy(*TREE)
    await seed(platform.runtime.database, registry_with(colours))
    fewer = taxonomy(*TREE[:2], name=colours.name)
    assert await seed(platform.runtime.database, registry_with(fewer)) == SeedReport(retired=1)
    assert ("blue", "Blue", None, True) in await terms(platform, colours.name)
    assert await seed(platform.runtime.database, registry_with(fewer)) == SeedReport()
    assert await seed(platform.runtime.database, registry_with(colours)) == SeedReport(changed=1)
    assert ("blue", "Blue", None, False) in await terms(platform, colours.name)


async def test_the_taxonomies_of_a_plugin_that_is_off_stay(platform: TestPlatform):
    colours = taxonomy(*TREE)
    await seed(platform.runtime.database, registry_with(colours))
    assert await seed(platform.runtime.database, Registry()) == SeedReport()
    assert len(await terms(platform, colours.name)) == 3


async def test_a_wrong_taxonomy_is_left_out_and_the_others_go_on(platform: TestPlatform):
    wrong, right = taxonomy("Red"), taxonomy("red")
    report = await seed(platform.runtime.database, registry_with(wrong, right))
    assert report.added == 1
    assert len(report.problems) == 1
    assert "palette" in report.problems[0]
    assert wrong.name in report.problems[0]
    assert "'Red' is not a slug" in report.problems[0]
    assert await terms(platform, wrong.name) == []


async def test_a_plugin_cannot_take_over_another_s_taxonomy(platform: TestPlatform):
    colours = taxonomy("red")
    await seed(platform.runtime.database, registry_with(colours))
    report = await seed(platform.runtime.database, registry_with(taxonomy("blue", name=colours.name), plugin="other"))
    assert "the plugin palette brought it already" in report.problems[0]
    assert await terms(platform, colours.name) == [("red", "red", None, False)]


async def test_processes_that_start_at_once_seed_once(platform: TestPlatform):
    colours = taxonomy(*(f"colour-{number}" for number in range(50)))
    reports = await asyncio.gather(*(seed(platform.runtime.database, registry_with(colours)) for _ in range(4)))
    assert sorted(report.added for report in reports) == [0, 0, 0, 50]


async def test_a_connection_or_the_configuration_will_do(platform: TestPlatform):
    colours = taxonomy("red")
    assert await seed(platform.config, registry_with(colours)) == SeedReport(added=1)
    connection = await asyncpg.connect(platform.runtime.database.urls.system)
    try:
        assert await seed(connection, registry_with(colours)) == SeedReport()
    finally:
        await connection.close()


async def test_everything_is_one_transaction(platform: TestPlatform):
    """A label that only the database refuses (it holds NUL) takes the taxonomies before it back."""
    first, second = taxonomy("red"), taxonomy(Term("blue", "Blue\x00"))
    with pytest.raises(asyncpg.CharacterNotInRepertoireError):
        await seed(platform.runtime.database, registry_with(first, second))
    assert await terms(platform, first.name) == []


async def test_the_application_cannot_write_shared_rows(platform: TestPlatform, tenant: UUID):
    colours = taxonomy("red")
    await seed(platform.runtime.database, registry_with(colours))
    async with platform.runtime.database.transaction(tenant) as connection:
        assert await connection.execute("UPDATE kernel_taxonomies SET title = 'x' WHERE name = $1", colours.name) == (
            "UPDATE 0"
        )
        savepoint = "SAVEPOINT s"
        await connection.execute(savepoint)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO kernel_taxonomies (id, name, title, plugin) VALUES (gen_random_uuid(), $1, 'x', 'x')",
                fresh_name(),
            )
        await connection.execute("ROLLBACK TO SAVEPOINT s")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM kernel_taxonomy_terms")
        await connection.execute("ROLLBACK TO SAVEPOINT s")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (taxonomy("red", name="Colours"), "'Colours' is not a taxonomy's name: names are in snake_case"),
        (taxonomy("red", title=""), "the title must have 1 to 200 characters"),
        (taxonomy("red", "red"), "the slug red is there twice"),
        (taxonomy("dark_red"), "'dark_red' is not a slug: lower-case letters and digits, with single hyphens between"),
        (taxonomy("red\n"), "'red\\n' is not a slug: lower-case letters and digits, with single hyphens between"),
        (
            taxonomy("r" * 101),
            f"'{'r' * 101}' is not a slug: lower-case letters and digits, with single hyphens between",
        ),
        (taxonomy(Term("red", "")), "the label of red must have 1 to 200 characters"),
        (taxonomy(Term("red", "Red", "warm")), "the parent of red, warm, is not a term of the taxonomy"),
        (taxonomy(Term("red", "Red", "red")), "red is above itself"),
    ],
)
def test_mistakes_are_named(wrong: Taxonomy, reason: str):
    assert list(problems(wrong)) == [reason]


def test_a_circle_is_found_and_a_tree_is_not_one():
    circle = taxonomy(Term("a", "A", "c"), Term("b", "B", "a"), Term("c", "C", "b"), Term("d", "D", "a"))
    assert list(problems(circle)) == ["a is above itself", "b is above itself", "c is above itself"]
    assert list(problems(taxonomy(*TREE))) == []


def test_the_built_in_taxonomies_have_no_mistakes(platform: TestPlatform):
    brought = [each for plugin in platform.registry.plugins for each in plugin.taxonomies]
    assert {"service_categories", "skills"} <= {each.name for each in brought}
    assert [problem for each in brought for problem in problems(each)] == []


async def test_several_plugins_bring_theirs(platform: TestPlatform):
    first, second = taxonomy("red"), taxonomy("tall")
    registry = Registry(plugins=[loaded("palette", [first]), loaded("sizes", [second])])
    assert await seed(platform.runtime.database, registry) == SeedReport(added=2)
