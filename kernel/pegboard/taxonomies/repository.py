"""The queries of taxonomies. A tenant sees the shared rows and its own, through row-level security."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pegboard_sdk.pagination import fetch_page, page_json, page_sql
from pegboard_sdk.work import Record, UnitOfWork

from pegboard.taxonomies.folding import LAST, fold

__all__ = ("list_taxonomies", "list_terms", "resolve_terms")

LIST = page_sql(
    "SELECT item, t.name, t.id FROM kernel_taxonomies t, LATERAL (SELECT t.name, t.title) item"
    " WHERE ($2::text IS NULL OR (t.name, t.id) > ($2, $3::uuid)) ORDER BY t.name, t.id",
    keys=("name", "id"),
)

# The taxonomy is looked up in the same statement; without one there is no row, and the caller answers 404.
TERMS = f"""
SELECT page.* FROM (
    SELECT id FROM kernel_taxonomies WHERE name = $2 ORDER BY tenant_id NULLS LAST LIMIT 1
) taxonomy, LATERAL ({
    page_sql(
        "SELECT item, t.sort_key, t.id FROM kernel_taxonomy_terms t"
        " LEFT JOIN kernel_taxonomy_terms p ON p.id = t.parent_id,"
        " LATERAL (SELECT t.slug, t.label, p.slug AS parent) item"
        " WHERE t.taxonomy_id = taxonomy.id AND t.retired_at IS NULL AND t.sort_key >= $3 AND t.sort_key < $4"
        " AND (t.sort_key, t.id) > ($5, $6::uuid) ORDER BY t.sort_key, t.id",
        keys=("sort_key", "id"),
    )
}) page
"""  # noqa: S608  # constants

RESOLVE = """
SELECT DISTINCT ON (t.slug) t.id, t.slug, t.label
FROM kernel_taxonomies x JOIN kernel_taxonomy_terms t ON t.taxonomy_id = x.id
WHERE x.name = $1 AND t.slug = ANY ($2::text[]) AND t.retired_at IS NULL
ORDER BY t.slug, t.tenant_id NULLS LAST
"""

FIRST = ("", UUID(int=0))


async def list_taxonomies(uow: UnitOfWork, *, limit: int, after: tuple[Any, ...] | None) -> bytes:
    """The JSON of a page of taxonomies by name."""
    return await fetch_page(uow, LIST, limit, *(after or (None, None)))


async def list_terms(
    uow: UnitOfWork, taxonomy: str, *, prefix: str, limit: int, after: tuple[Any, ...] | None
) -> bytes | None:
    """The JSON of a page of the terms whose labels begin with `prefix`, by label; None where there is no taxonomy."""
    folded = fold(prefix)
    row = await uow.fetchrow(TERMS, limit, taxonomy, folded, folded + LAST, *(after or FIRST))
    return None if row is None else page_json(row, limit)


async def resolve_terms(uow: UnitOfWork, taxonomy: str, slugs: Sequence[str]) -> list[Record]:
    """The terms (id, slug, label) that there are of `slugs`; a tenant's own before a shared one."""
    return await uow.fetch(RESOLVE, taxonomy, list(slugs))
