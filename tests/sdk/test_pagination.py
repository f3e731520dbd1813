"""Lists that PostgreSQL writes, a page at a time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard_sdk.errors import InvalidCursor
from pegboard_sdk.pagination import MAX_PAGE, decode_cursor, encode_cursor, page_json, page_sql

ROWS = "SELECT item, n.id FROM numbers n, LATERAL (SELECT n.id, n.label) item {0} ORDER BY n.id"
FIRST = page_sql(ROWS.format(""), keys=("id",))
NEXT = page_sql(ROWS.format("WHERE n.id > $2"), keys=("id",))


@pytest.fixture(scope="module")
async def numbers(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection with a temporary table of many numbers, known to the planner."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE TEMPORARY TABLE numbers AS"
        " SELECT id, 'number \"' || id || '\"' AS label FROM generate_series(1, 50000) id"
    )
    await connection.execute("CREATE UNIQUE INDEX ON numbers (id); ANALYZE numbers")
    yield connection
    await connection.close()


async def page(connection: asyncpg.Connection, limit: int, after: tuple[Any, ...] | None) -> dict[str, Any]:
    row: Any = await connection.fetchrow(FIRST if after is None else NEXT, limit, *(after or ()))
    return msgspec.json.decode(page_json(row, limit))


async def plans(connection: asyncpg.Connection, sql: str) -> dict[str, int]:
    """How often PostgreSQL planned ten calls for just their arguments, and how often it took its general plan."""
    for _ in range(10):
        await connection.fetchrow(sql, 20)
    row = await connection.fetchrow(
        "SELECT custom_plans AS custom, generic_plans AS general FROM pg_prepared_statements WHERE statement = $1", sql
    )
    assert row is not None
    return dict(row)


@pytest.mark.parametrize("limit", [1, 20, MAX_PAGE])
async def test_pages_follow_one_another(numbers: asyncpg.Connection, limit: int):
    first = await page(numbers, limit, None)
    assert [item["id"] for item in first["items"]] == list(range(1, limit + 1))
    assert first["items"][0]["label"] == 'number "1"'
    second = await page(numbers, limit, decode_cursor(first["next_cursor"], (int,)))
    assert [item["id"] for item in second["items"]] == list(range(limit + 1, 2 * limit + 1))


@pytest.mark.parametrize(("left", "more"), [(0, False), (1, False), (20, False), (21, True)])
async def test_the_last_page_has_no_next_one(numbers: asyncpg.Connection, left: int, more: bool):
    last = await page(numbers, 20, (50_000 - left,))
    assert len(last["items"]) == min(left, 20)
    assert (last["next_cursor"] is not None) is more


async def test_a_page_is_planned_once(numbers: asyncpg.Connection):
    # Another text than the other tests', so that nobody has run it before.
    sql = page_sql(ROWS.format("WHERE true"), keys=("id",))
    assert await plans(numbers, sql) == {"custom": 5, "general": 5}


async def test_a_limit_that_is_only_a_parameter_is_planned_each_time(numbers: asyncpg.Connection):
    """The trap that the literal LIMIT in the statement is for."""
    trapped = FIRST.replace(f" LIMIT {MAX_PAGE + 1}", "")
    assert await plans(numbers, trapped) == {"custom": 10, "general": 0}


keys = st.tuples(
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)


@given(keys)
def test_a_cursor_gives_its_keys_back(values: tuple[datetime, UUID, int, float, str]):
    types = (datetime, UUID, int, float, str)
    assert decode_cursor(encode_cursor(*values), types) == values


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused(text: str):
    with pytest.raises(InvalidCursor):
        decode_cursor(text, (datetime, UUID))


def test_no_cursor_is_the_first_page():
    assert decode_cursor(None, (int,)) is None
