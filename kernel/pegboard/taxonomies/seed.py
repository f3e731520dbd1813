"""Puts the taxonomies that plugins bring into the database: once, and again whenever they changed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import msgspec
import structlog
from pegboard_sdk import new_id
from pegboard_sdk.taxonomies import Taxonomy, Term

from pegboard.config.model import Config
from pegboard.database.pool import SYSTEM_NAME, Database
from pegboard.database.urls import DatabaseUrls
from pegboard.plugins.registry import Registry
from pegboard.records.declarations import sync_declarations
from pegboard.taxonomies.folding import fold

__all__ = ("SeedReport", "problems", "seed")

NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}\Z")
SLUG = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*\Z")
MAX_SLUG = 100
MAX_LABEL = 200
log = structlog.get_logger("pegboard.taxonomies")

# Held to the end of the transaction: of several processes that start at once, one seeds and the others find it done.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('pegboard.taxonomies', 0))"

FIND = "SELECT id, title, plugin FROM kernel_taxonomies WHERE name = $1 AND tenant_id IS NULL"
ADD = "INSERT INTO kernel_taxonomies (id, name, title, plugin) VALUES ($1, $2, $3, $4)"
RETITLE = "UPDATE kernel_taxonomies SET title = $2 WHERE id = $1"

TERMS = """
SELECT t.slug, t.label, p.slug AS parent, t.retired_at IS NOT NULL AS retired
FROM kernel_taxonomy_terms t LEFT JOIN kernel_taxonomy_terms p ON p.id = t.parent_id
WHERE t.taxonomy_id = $1 AND t.tenant_id IS NULL
"""

ADD_TERMS = """
INSERT INTO kernel_taxonomy_terms (id, taxonomy_id, slug, label, sort_key)
SELECT term.id, $1, term.slug, term.label, term.sort_key
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS term (id, slug, label, sort_key)
"""

# Parents are found by slug once all terms are there, so their order does not matter.
UPDATE_TERMS = """
UPDATE kernel_taxonomy_terms t SET label = term.label, sort_key = term.sort_key, parent_id = p.id, retired_at = NULL
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS term (slug, label, sort_key, parent)
LEFT JOIN kernel_taxonomy_terms p ON p.taxonomy_id = $1 AND p.slug = term.parent AND p.tenant_id IS NULL
WHERE t.taxonomy_id = $1 AND t.slug = term.slug AND t.tenant_id IS NULL
"""

RETIRE_TERMS = """
UPDATE kernel_taxonomy_terms SET retired_at = now()
WHERE taxonomy_id = $1 AND slug = ANY ($2::text[]) AND tenant_id IS NULL
"""


class SeedReport(msgspec.Struct, kw_only=True):
    """What seeding did, in terms; `problems` says which taxonomies were left out and why."""

    added: int = 0
    changed: int = 0
    retired: int = 0
    problems: list[str] = []


async def seed(target: Config | Database | asyncpg.Connection, registry: Registry) -> SeedReport:
    """Make the shared taxonomies, and what is known of records, what the registry's plugins bring, in one transaction.

    Without a difference no row is written. `target` is the configuration (a connection is made for the purpose), the
    database, or a connection of the system role. Taxonomies of plugins that are off stay as they are.

    Raises:
        OSError, asyncpg.PostgresError: the server can't be reached or refuses us.
    """
    if isinstance(target, Config):
        connection = await asyncpg.connect(
            DatabaseUrls.from_config(target).system, server_settings={"application_name": SYSTEM_NAME}
        )
        try:
            return await seed(connection, registry)
        finally:
            await connection.close()
    if isinstance(target, Database):
        async with target.system_transaction() as connection:
            return await _seed(connection, registry)
    async with target.transaction():
        return await _seed(target, registry)


def problems(taxonomy: Taxonomy) -> Iterator[str]:
    """What is wrong with a plugin's taxonomy; nothing when it can be seeded."""
    if not NAME.match(taxonomy.name):
        yield f"{taxonomy.name!r} is not a taxonomy's name: names are in snake_case"
    if not 0 < len(taxonomy.title) <= MAX_LABEL:
        yield f"the title must have 1 to {MAX_LABEL} characters"
    parents: dict[str, str | None] = {}
    for term in taxonomy.terms:
        if term.slug in parents:
            yield f"the slug {term.slug} is there twice"
        if not SLUG.match(term.slug) or len(term.slug) > MAX_SLUG:
            yield f"{term.slug!r} is not a slug: lower-case letters and digits, with single hyphens between"
        if not 0 < len(term.label) <= MAX_LABEL:
            yield f"the label of {term.slug} must have 1 to {MAX_LABEL} characters"
        parents[term.slug] = term.parent
    for slug, parent in parents.items():
        if parent is not None and parent not in parents:
            yield f"the parent of {slug}, {parent}, is not a term of the taxonomy"
        elif _in_circle(slug, parents):
            yield f"{slug} is above itself"


def _in_circle(slug: str, parents: Mapping[str, str | None]) -> bool:
    above = parents[slug]
    for _ in parents:
        if above is None or above == slug:
            break
        above = parents.get(above)
    return above == slug


async def _seed(connection: Any, registry: Registry) -> SeedReport:
    report = SeedReport()
    await connection.execute(LOCK)
    await sync_declarations(connection, registry)
    for plugin in registry.plugins:
        for taxonomy in plugin.taxonomies:
            await _seed_taxonomy(connection, plugin.name, taxonomy, report)
    log.info("taxonomies.seeded", added=report.added, changed=report.changed, retired=report.retired)
    return report


async def _seed_taxonomy(connection: Any, plugin: str, taxonomy: Taxonomy, report: SeedReport) -> None:
    wrong = list(problems(taxonomy))
    row = await connection.fetchrow(FIND, taxonomy.name)
    if row is not None and row["plugin"] != plugin:
        wrong.append(f"the plugin {row['plugin']} brought it already")
    if wrong:
        # One plugin's mistake must not keep the others' taxonomies, or the start, from going on.
        reason = f"{plugin}: the taxonomy {taxonomy.name} was left out: {'; '.join(wrong)}"
        log.error("taxonomy.refused", plugin=plugin, taxonomy=taxonomy.name, reason=reason)
        report.problems.append(reason)
        return
    if row is None:
        taxonomy_id = new_id()
        await connection.execute(ADD, taxonomy_id, taxonomy.name, taxonomy.title, plugin)
    else:
        taxonomy_id = row["id"]
        if row["title"] != taxonomy.title:
            await connection.execute(RETITLE, taxonomy_id, taxonomy.title)
    there = {row["slug"]: row for row in await connection.fetch(TERMS, taxonomy_id)}
    added = [term for term in taxonomy.terms if term.slug not in there]
    changed = [term for term in taxonomy.terms if term.slug in there and _differs(term, there[term.slug])]
    wanted = {term.slug for term in taxonomy.terms}
    retired = [slug for slug, row in there.items() if slug not in wanted and not row["retired"]]
    if added:
        columns = _columns(added)
        await connection.execute(ADD_TERMS, taxonomy_id, [new_id() for _ in added], *columns[:3])
    if moved := [*(term for term in added if term.parent), *changed]:
        await connection.execute(UPDATE_TERMS, taxonomy_id, *_columns(moved))
    if retired:
        await connection.execute(RETIRE_TERMS, taxonomy_id, retired)
    report.added += len(added)
    report.changed += len(changed)
    report.retired += len(retired)


def _differs(term: Term, row: Any) -> bool:
    return (term.label, term.parent, False) != (row["label"], row["parent"], row["retired"])


def _columns(terms: list[Term]) -> tuple[list[str], list[str], list[str], list[str | None]]:
    """Slugs, labels, sort keys and parents."""
    return (
        [term.slug for term in terms],
        [term.label for term in terms],
        [fold(term.label) for term in terms],
        [term.parent for term in terms],
    )
