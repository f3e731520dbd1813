"""Rows can be made up for tables of all sorts, and where not, it is said why."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from pegboard.conformance.dynamic.rows import RowImpossible, insert_row

TENANT = UUID(int=7)

ANY_COLUMNS = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN slug AS text CHECK (VALUE ~ '^[a-z][a-z0-9_]*$');
CREATE TABLE parents (tenant_id uuid, id uuid, PRIMARY KEY (tenant_id, id));
CREATE TABLE it (
    id uuid NOT NULL, tenant_id uuid NOT NULL, parent_id uuid NOT NULL, mood mood NOT NULL, moods mood[] NOT NULL,
    slug slug NOT NULL, code varchar(2) NOT NULL, tags text[] NOT NULL, body jsonb NOT NULL, raw bytea NOT NULL,
    price numeric(12, 2) NOT NULL, day date NOT NULL, span tstzrange NOT NULL, search tsvector NOT NULL,
    twice integer GENERATED ALWAYS AS (2) STORED NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES parents
)
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's, in a transaction that is rolled back, in a schema of the test's own."""
    connection = await asyncpg.connect(database_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("CREATE SCHEMA made_up; SET LOCAL search_path = made_up")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_columns_of_all_types_get_values(connection: asyncpg.Connection) -> None:
    await connection.execute(ANY_COLUMNS)

    await insert_row(connection, "it", TENANT)

    assert await connection.fetchval("SELECT tenant_id FROM it") == TENANT


@pytest.mark.parametrize(
    "columns",
    [
        "state text NOT NULL CHECK (state IN ('open', 'closed'))",
        "state text NOT NULL DEFAULT 'open', closed_at timestamptz, CHECK ((state = 'open') = (closed_at IS NOT NULL))",
        "digest bytea NOT NULL CHECK (octet_length(digest) = 32)",
        "name text NOT NULL CHECK (char_length(name) BETWEEN 30 AND 40)",
        "share integer NOT NULL CHECK (share >= 5000 AND share < 5003 AND share % 2 = 0)",
        "low integer NOT NULL, high integer NOT NULL, CHECK (low < high), CHECK (low >= 10)",
        "starts timestamptz NOT NULL, ends timestamptz NOT NULL, CHECK (starts < ends)",
        "tags text[] NOT NULL CHECK (cardinality(tags) > 0)",
        "items jsonb NOT NULL CHECK (jsonb_array_length(items) >= 0)",
        "a uuid NOT NULL, b uuid NOT NULL, CHECK (a = b)",
        "kind text NOT NULL CHECK (kind IN ('x', 'y')), x integer, y integer,"
        " CHECK ((kind = 'x') = (x IS NOT NULL)), CHECK ((kind = 'y') = (y IS NOT NULL)), CHECK (x IS NULL)",
    ],
)
async def test_checks_are_kept(connection: asyncpg.Connection, columns: str) -> None:
    await connection.execute(f"CREATE TABLE it (tenant_id uuid NOT NULL, {columns})")

    await insert_row(connection, "it", TENANT)

    assert await connection.fetchval("SELECT count(*) FROM it") == 1


async def test_keys_that_are_taken_are_passed_by(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "CREATE TABLE it (tenant_id uuid NOT NULL, name text NOT NULL UNIQUE CHECK (name <> ''), n integer NOT NULL)"
    )
    for _ in range(3):
        await insert_row(connection, "it", uuid4())

    assert await connection.fetchval("SELECT count(DISTINCT name) FROM it") == 3


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ("tenant_id uuid, word text NOT NULL CHECK (word ~ '^zyx[0-9]{7}$')", "its check it_word_check takes: .word ~"),
        ("tenant_id uuid, n integer NOT NULL CHECK (n > 3 AND n < 4)", "its check it_n_check takes"),
        ("word text", "it has no column tenant_id"),
        ("tenant_id uuid PRIMARY KEY", "duplicate key value"),
    ],
)
async def test_what_is_in_the_way_is_said(connection: asyncpg.Connection, columns: str, why: str) -> None:
    await connection.execute(f"CREATE TABLE it ({columns})")
    if "PRIMARY" in columns:
        await connection.execute("INSERT INTO it VALUES ($1)", TENANT)

    with pytest.raises(RowImpossible, match=why):
        await insert_row(connection, "it", TENANT)
