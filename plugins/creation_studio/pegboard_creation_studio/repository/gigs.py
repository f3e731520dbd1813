"""The queries of gigs. Row-level security filters by tenant; only inserts name it."""
# ruff: noqa: S608  # texts of constants, put together; values are parameters

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Self
from uuid import UUID

import msgspec
from pegboard_sdk import Money, Record, UnitOfWork, new_id
from pegboard_sdk.pagination import fetch_page, json_time, page_sql
from pegboard_sdk.services import TermView

from pegboard_creation_studio.repository.fragments import price
from pegboard_creation_studio.schemas import Gig

__all__ = (
    "GigContent",
    "get_gig",
    "get_offer",
    "insert_gig",
    "list_own_gigs",
    "list_published_gigs",
    "lock_gig",
    "replace_tags",
    "search_gigs",
    "set_deleted",
    "set_state",
    "to_gig",
    "update_gig",
)


class GigContent(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner can change of a gig, by column."""

    title: str
    description: str
    language: str
    price_amount: int
    currency: str
    delivery_days: int
    category_id: UUID | None
    category: str | None
    tags: list[str]

    @classmethod
    def of(cls, row: Record) -> Self:
        """The content of a gig's row."""
        return cls(**{name: row[name] for name in cls.__struct_fields__})

    def values(self) -> tuple[Any, ...]:
        """The columns' values, in the order of the fields."""
        return msgspec.structs.astuple(self)


CONTENT = ", ".join(GigContent.__struct_fields__)
COLUMNS = f"id, owner_id, state, {CONTENT}, version, published_at, deleted_at, created_at, updated_at"

SUMMARY = f"""LATERAL (
    SELECT g.id, g.owner_id, g.state, g.title, {price("g")}, g.delivery_days, g.category, g.tags,
        {json_time("g.published_at")} AS published_at
) item"""
DETAIL = f"""LATERAL (
    SELECT g.id, g.owner_id, g.state, g.title, g.description, g.language, {price("g")}, g.delivery_days, g.category,
        g.tags, g.version, {json_time("g.published_at")} AS published_at, {json_time("g.created_at")} AS created_at,
        {json_time("g.updated_at")} AS updated_at
) item"""

# A draft is its owner's alone; what is archived is its owner's and the moderators'.
GET = f"""
SELECT g.version, row_to_json(item)::text AS json FROM creation_studio_gigs g, {DETAIL}
WHERE g.id = $1 AND g.deleted_at IS NULL
    AND (g.state = 'published' OR g.owner_id = $2 OR ($3 AND g.state = 'archived'))
"""

OFFER = """
SELECT id, owner_id, title, price_amount, currency, delivery_days FROM creation_studio_gigs
WHERE id = $1 AND state = 'published'
"""

LOCK = f"SELECT {COLUMNS} FROM creation_studio_gigs WHERE id = $1 FOR UPDATE"

INSERT = f"""
WITH gig AS (
    INSERT INTO creation_studio_gigs (tenant_id, id, owner_id, {CONTENT})
    VALUES ($1, $2, $3, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING {COLUMNS}
), tags AS (
    INSERT INTO creation_studio_gig_tags (tenant_id, id, gig_id, term_id, slug)
    SELECT $1, tag.id, $2, tag.term_id, tag.slug FROM unnest($4::uuid[], $5::uuid[], $14) AS tag (id, term_id, slug)
)
SELECT {COLUMNS} FROM gig
"""

UPDATE = f"""
UPDATE creation_studio_gigs
SET ({CONTENT}, version) = ($2, $3, $4, $5, $6, $7, $8, $9, $10, version + 1)
WHERE id = $1 RETURNING {COLUMNS}
"""

REMOVE_TAGS = "DELETE FROM creation_studio_gig_tags WHERE gig_id = $1 AND slug <> ALL ($2::text[])"

ADD_TAGS = """
INSERT INTO creation_studio_gig_tags (tenant_id, id, gig_id, term_id, slug)
SELECT $1, tag.id, $2, tag.term_id, tag.slug FROM unnest($3::uuid[], $4::uuid[], $5::text[]) AS tag (id, term_id, slug)
ON CONFLICT (tenant_id, gig_id, slug) DO NOTHING
"""

SET_STATE = f"""
UPDATE creation_studio_gigs
SET state = $2, version = version + 1, published_at = CASE WHEN $2 = 'published' THEN now() ELSE published_at END
WHERE id = $1 RETURNING {COLUMNS}
"""

SET_DELETED = f"""
UPDATE creation_studio_gigs SET deleted_at = CASE WHEN $2 THEN now() END, version = version + 1
WHERE id = $1 RETURNING {COLUMNS}
"""

SEARCH = page_sql(
    "SELECT item, found.rank, g.id FROM creation_studio_search_gigs($2, $3, $4, $5) found"
    f" JOIN creation_studio_gigs g ON g.id = found.gig_id, {SUMMARY} ORDER BY found.rank DESC, g.id DESC",
    keys=("rank", "id"),
)


@cache
def own_sql(*, after: bool) -> str:
    """The list of an account's gigs, the last drafted first."""
    where = "g.owner_id = $2 AND g.deleted_at IS NULL" + (" AND g.id < $3" if after else "")
    return page_sql(
        f"SELECT item, g.id FROM creation_studio_gigs g, {SUMMARY} WHERE {where} ORDER BY g.id DESC", keys=("id",)
    )


@cache
def published_sql(*, owner: bool, category: bool, tag: bool, after: bool) -> str:
    """The list of published gigs, newest first, with just the conditions that are needed, so that each has its plan.

    `$1` is the limit; the other parameters come in the order of the arguments.
    """
    numbers = iter(range(2, 7))
    where = ["g.state = 'published'"]
    if owner:
        where.append(f"g.owner_id = ${next(numbers)}")
    if category:
        where.append(f"g.category = ${next(numbers)}")
    if tag:
        where.append(
            "EXISTS (SELECT FROM creation_studio_gig_tags t"
            f" WHERE t.tenant_id = g.tenant_id AND t.gig_id = g.id AND t.slug = ${next(numbers)})"
        )
    if after:
        where.append(f"(g.published_at, g.id) < (${next(numbers)}, ${next(numbers)})")
    return page_sql(
        f"SELECT item, g.published_at, g.id FROM creation_studio_gigs g, {SUMMARY}"
        f" WHERE {' AND '.join(where)} ORDER BY g.published_at DESC, g.id DESC",
        keys=("published_at", "id"),
    )


def to_gig(row: Record) -> Gig:
    """The answer of a gig's row."""
    return Gig(
        id=row["id"],
        owner_id=row["owner_id"],
        state=row["state"],
        title=row["title"],
        description=row["description"],
        language=row["language"],
        price=Money(row["price_amount"], row["currency"]),
        delivery_days=row["delivery_days"],
        category=row["category"],
        tags=row["tags"],
        version=row["version"],
        published_at=row["published_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def get_gig(
    uow: UnitOfWork, gig_id: UUID, *, account_id: UUID | None, is_moderator: bool
) -> tuple[int, str] | None:
    """A gig's version and JSON, if who asks may see it."""
    row = await uow.fetchrow(GET, gig_id, account_id, is_moderator)
    return None if row is None else (row["version"], row["json"])


async def get_offer(uow: UnitOfWork, gig_id: UUID) -> Record | None:
    """What an order takes over from a published gig: id, owner_id, title, price_amount, currency, delivery_days."""
    return await uow.fetchrow(OFFER, gig_id)


async def lock_gig(uow: UnitOfWork, gig_id: UUID) -> Record | None:
    """A gig's row, also of a deleted one, locked until the transaction ends."""
    return await uow.fetchrow(LOCK, gig_id)


async def insert_gig(uow: UnitOfWork, owner_id: UUID, content: GigContent, tags: Sequence[TermView]) -> Record:
    """Add a draft and its tags, in one statement. `tags` are the terms of `content.tags`, in that order."""
    row = await uow.fetchrow(
        INSERT,
        uow.tenant_id,
        new_id(),
        owner_id,
        [new_id() for _ in tags],
        [term.id for term in tags],
        *content.values(),
    )
    assert row is not None
    return row


async def update_gig(uow: UnitOfWork, gig_id: UUID, content: GigContent) -> Record:
    """Change a gig's content; its version goes up."""
    return await _updated(uow, UPDATE, gig_id, *content.values())


async def replace_tags(uow: UnitOfWork, gig_id: UUID, tags: Sequence[TermView]) -> None:
    """Make the terms that a gig is filtered by be `tags`."""
    slugs = [term.slug for term in tags]
    await uow.execute(REMOVE_TAGS, gig_id, slugs)
    if tags:
        await uow.execute(ADD_TAGS, uow.tenant_id, gig_id, [new_id() for _ in tags], [term.id for term in tags], slugs)


async def set_state(uow: UnitOfWork, gig_id: UUID, state: str) -> Record:
    """Put a gig into a state; publishing stamps the time. Its version goes up."""
    return await _updated(uow, SET_STATE, gig_id, state)


async def set_deleted(uow: UnitOfWork, gig_id: UUID, *, deleted: bool) -> Record:
    """Delete a gig softly, or undo that. Its version goes up."""
    return await _updated(uow, SET_DELETED, gig_id, deleted)


async def list_published_gigs(
    uow: UnitOfWork,
    *,
    owner_id: UUID | None,
    category: str | None,
    tag: str | None,
    limit: int,
    after: tuple[datetime, UUID] | None,
) -> bytes:
    """The JSON of a page of published gigs, newest first."""
    sql = published_sql(
        owner=owner_id is not None, category=category is not None, tag=tag is not None, after=after is not None
    )
    filters = [value for value in (owner_id, category, tag) if value is not None]
    return await fetch_page(uow, sql, limit, *filters, *(after or ()))


async def list_own_gigs(uow: UnitOfWork, owner_id: UUID, *, limit: int, after: tuple[UUID] | None) -> bytes:
    """The JSON of a page of an account's gigs in all states, the last drafted first."""
    return await fetch_page(uow, own_sql(after=after is not None), limit, owner_id, *(after or ()))


async def search_gigs(
    uow: UnitOfWork, query: str, language: str, *, limit: int, after: tuple[float, UUID] | None
) -> bytes:
    """The JSON of a page of the published gigs that match `query`, the best first."""
    return await fetch_page(uow, SEARCH, limit, query, language, *(after or (None, None)))


async def _updated(uow: UnitOfWork, sql: str, *args: Any) -> Record:
    row = await uow.fetchrow(sql, *args)
    assert row is not None, "the row is locked by this transaction"
    return row
