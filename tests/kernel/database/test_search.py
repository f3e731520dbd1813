"""Full-text search under row-level security: the pattern of `pegboard_sdk.database.system_function`."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from pegboard.database.tenancy import tenancy_problems
from pegboard.database.urls import APP, OWNER, derive_url
from pegboard_sdk.database import protect_table, system_function

TENANT, OTHER = "00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b"
TABLE = """
    CREATE TABLE articles (
        tenant_id uuid NOT NULL,
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        title text NOT NULL,
        document tsvector GENERATED ALWAYS AS (to_tsvector('simple', title)) STORED
    );
    CREATE INDEX articles_tenant ON articles (tenant_id, id);
    CREATE INDEX articles_document ON articles USING gin (document);
"""
FUNCTION = """
    CREATE FUNCTION articles_search(query text) RETURNS SETOF articles LANGUAGE sql STABLE AS $$
        SELECT * FROM articles
        WHERE tenant_id = (SELECT kernel_current_tenant()) AND document @@ plainto_tsquery('simple', query)
    $$
"""
ROWS = f"""
    INSERT INTO articles (tenant_id, title)
    SELECT CASE WHEN n % 2 = 0 THEN '{TENANT}' ELSE '{OTHER}' END::uuid, 'word' || n % 4000 || ' common'
    FROM generate_series(1, 20000) n
"""


@pytest.fixture
async def owner(probe_url: str, master_key: bytes) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(derive_url(probe_url, OWNER, master_key))
    for statement in (TABLE, protect_table("articles"), FUNCTION, system_function("articles_search(text)"), ROWS):
        await connection.execute(statement)
    yield connection
    await connection.execute("DROP FUNCTION articles_search(text); DROP TABLE articles")
    await connection.close()


@pytest.fixture
async def app(probe_url: str, master_key: bytes, owner: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    await owner.execute("ANALYZE articles")
    settings = {"application_name": f"pegboard:{TENANT}"}
    connection = await asyncpg.connect(derive_url(probe_url, APP, master_key), server_settings=settings)
    yield connection
    await connection.close()


async def test_the_function_finds_the_tenants_rows_only(app: asyncpg.Connection):
    assert {str(row["tenant_id"]) for row in await app.fetch("SELECT * FROM articles_search('word42')")} == {TENANT}
    assert await app.fetchval("SELECT count(*) FROM articles_search('common')") == 10_000
    assert await app.fetch("SELECT * FROM articles_search('word43')") == []  # the other tenant's
    await app.execute("SET application_name = ''")
    assert await app.fetch("SELECT * FROM articles_search('common')") == []


async def test_a_temporary_table_does_not_take_the_tables_place(app: asyncpg.Connection, owner: asyncpg.Connection):
    await owner.execute("CREATE TEMPORARY TABLE articles (LIKE articles)")
    await owner.execute(f"SET application_name = 'pegboard:{TENANT}'")
    assert len(await owner.fetch("SELECT * FROM articles_search('word42')")) == 5
    await owner.execute("DROP TABLE pg_temp.articles")


async def test_under_the_policy_the_index_is_not_used_and_in_the_function_it_is(
    app: asyncpg.Connection, owner: asyncpg.Connection
):
    plan = await app.fetch("EXPLAIN SELECT * FROM articles WHERE document @@ plainto_tsquery('simple', 'word42')")
    assert "articles_document" not in "\n".join(row[0] for row in plan)

    scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'articles_document'"
    before = await owner.fetchval(scans)
    await app.fetch("SELECT * FROM articles_search('word42')")
    await app.execute("SELECT pg_stat_force_next_flush()")
    await app.close()
    assert await owner.fetchval(scans) == (before or 0) + 1


async def test_the_function_passes_the_rules(owner: asyncpg.Connection):
    assert [line for line in await tenancy_problems(owner) if "articles" in line] == []


@pytest.mark.parametrize("signature", ["articles_search", "f(); DROP TABLE t", "F()", "f(text", "f('x')"])
def test_a_signature_is_a_signature(signature: str):
    with pytest.raises(ValueError, match="not a function's signature"):
        system_function(signature)
