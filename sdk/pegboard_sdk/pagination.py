"""Keyset pagination: `{items, next_cursor}`."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from pegboard_sdk.errors import InvalidCursor

__all__ = ("MAX_PAGE", "Cursor", "Limit", "Page", "decode_cursor", "encode_cursor", "page_sql")

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
    """SQL that answers a list in one statement with one text: the JSON of a `Page`, for `JsonBytes[Page[…]]`.

    `rows` is a SELECT in the list's order, without LIMIT, of a column `item` (a record whose columns are the item's
    fields, or a JSON value) and of `keys`, the columns that the list is ordered by; neither text may hold anything of
    a request. `limit` is the parameter that holds the page's limit. `decode_cursor` reads the cursor.

        page_sql("SELECT item, g.id FROM gigs g, LATERAL (SELECT g.id, g.title) item ORDER BY g.id DESC", keys=("id",))

    The literal LIMIT keeps PostgreSQL's plan cached: of a parameter it guesses that it takes a tenth of all rows, finds
    the general plan too dear because of that, and plans the statement anew each time.
    """
    last = ", ".join(f"(array_agg({key}))[{limit}]" for key in keys)
    cursor = f"translate(encode(convert_to(json_build_array({last})::text, 'UTF8'), 'base64'), E'+/=\\n', '-_')"
    items = f"coalesce(json_agg(item) FILTER (WHERE place <= {limit})::text, '[]')"
    next_cursor = f"CASE WHEN max(place) > {limit} THEN to_json({cursor})::text ELSE 'null' END"
    listed = f"({rows} LIMIT {MAX_PAGE + 1}) listed LIMIT {limit} + 1"
    page = f"(SELECT *, row_number() OVER () AS place FROM {listed}) page"  # noqa: S608  # the plugin's own text
    return f"""SELECT '{{"items":' || {items} || ',"next_cursor":' || {next_cursor} || '}}' FROM {page}"""  # noqa: S608
