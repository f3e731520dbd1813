"""Keyset pagination: `{items, next_cursor}`."""

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from pegboard_sdk.errors import InvalidCursor

if TYPE_CHECKING:
    from pegboard_sdk.work import Record, UnitOfWork

__all__ = (
    "MAX_PAGE",
    "Cursor",
    "Limit",
    "Page",
    "decode_cursor",
    "encode_cursor",
    "fetch_page",
    "json_time",
    "page_json",
    "page_sql",
)

MAX_PAGE = 100

T = TypeVar("T")

Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE, description="How many items at most.")]
"""A handler's `limit: Limit = 20` parameter."""

Cursor = Annotated[
    str | None, QueryParameter(name="cursor", max_length=1024, description="The `next_cursor` of the page before.")
]
"""A handler's `cursor: Cursor = None` parameter."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(*keys: Any) -> str:
    """An opaque cursor from the sort keys of a page's last row (anything that msgspec encodes)."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, types: Sequence[type]) -> tuple[Any, ...] | None:
    """The sort keys of `cursor`, as `types`; None where there is no cursor.

    Raises:
        InvalidCursor: the text was not made by `encode_cursor` with these types.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=tuple[tuple(types)])  # type: ignore[misc]  # a tuple type made at run time
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidCursor("This cursor is not one of this list: leave it out to start at the first page.") from error


def page_sql(rows: str, *, keys: Sequence[str], limit: str = "$1") -> str:
    """SQL that answers a list in one statement with one row, for `fetch_page`: PostgreSQL writes the items' JSON.

    `rows` is a SELECT in the list's order, without LIMIT, of a column `item` (a record whose columns are the item's
    fields) and of `keys`, the columns that the list is ordered by; neither text may hold anything of a request.
    `limit` is the parameter that holds the page's limit.

        page_sql("SELECT item, g.id FROM gigs g, LATERAL (SELECT g.id, g.title) item ORDER BY g.id DESC", keys=("id",))

    PostgreSQL writes times with an offset (`+00:00`): take `json_time` for columns that hold one.

    The literal LIMIT keeps PostgreSQL's plan cached: of a parameter it guesses that it takes a tenth of all rows, finds
    the general plan too dear because of that, and plans the statement anew each time.
    """
    last = "".join(f", (array_agg({key}))[{limit}]" for key in keys)
    listed = f"({rows} LIMIT {MAX_PAGE + 1}) listed LIMIT {limit} + 1"
    return f"SELECT array_agg(row_to_json(item)::text) AS items{last} FROM (SELECT * FROM {listed}) page"  # noqa: S608  # the plugin's own text


def json_time(column: str) -> str:
    """SQL that gives a `timestamptz` as all other answers write times, RFC 3339 in UTC: `2026-11-24T09:30:00.000000Z`.

        f"LATERAL (SELECT g.id, {json_time('g.created_at')} AS created_at) item"

    `column` is a column's name in the plugin's own text, nothing of a request.
    """
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


async def fetch_page(uow: "UnitOfWork", sql: str, limit: int, *args: Any) -> bytes:
    """Run a statement of `page_sql`, whose first parameter is `limit`. Gives JSON, for `JsonBytes[Page[…]]`."""
    row = await uow.fetchrow(sql, limit, *args)
    assert row is not None, "a statement of page_sql gives one row"
    return page_json(row, limit)


def page_json(row: "Record", limit: int) -> bytes:
    """The JSON of a `Page` from the row of a statement of `page_sql`."""
    items, *keys = row.values()
    if items is None:
        return b'{"items":[],"next_cursor":null}'
    following = f'"{encode_cursor(*keys)}"' if len(items) > limit else "null"
    return f'{{"items":[{",".join(items[:limit])}],"next_cursor":{following}}}'.encode()
