"""Keyset pagination: `{items, next_cursor}`."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import Parameter

from pegboard_sdk.errors import InvalidCursor

__all__ = ("MAX_PAGE", "Cursor", "Limit", "Page", "decode_cursor", "encode_cursor")

MAX_PAGE = 100

T = TypeVar("T")

Limit = Annotated[int, Parameter(query="limit", ge=1, le=MAX_PAGE, description="How many items at most.")]
"""A handler's `limit: Limit = 20` parameter."""

Cursor = Annotated[
    str | None, Parameter(query="cursor", max_length=1024, description="The `next_cursor` of the page before.")
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
