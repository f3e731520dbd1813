"""What migrations made is recorded, and dropping it gives back the catalog of before, on each claimed major."""

from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent

import asyncpg
import pytest
from pegboard.database.catalog import read_catalog
from pegboard.database.migrate import connect_as_owner, migrate, migrate_backwards
from pegboard.database.objects import DroppingFailed, drop_objects, made_by, read_objects, record_changes
from pegboard_sdk.database import PiccoloApp

FIRST, SECOND = "2026-11-24T00:01:00:000000", "2026-11-24T00:02:00:000000"
# What somebody's migrations may hold beside plain tables.
ODD = """
CREATE SCHEMA odd_attic;
CREATE DOMAIN odd_word AS text CHECK (VALUE <> '');
CREATE TYPE odd_pair AS (a integer, b odd_word);
CREATE TYPE odd_span AS RANGE (subtype = date);
CREATE TABLE odd_attic.boxes (id serial PRIMARY KEY, pair odd_pair, span odd_span);
CREATE TABLE odd_days (day date, note text) PARTITION BY RANGE (day);
CREATE TABLE odd_days_2026 PARTITION OF odd_days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX odd_days_note ON odd_days (note);
CREATE MATERIALIZED VIEW odd_summary AS SELECT count(*) FROM odd_days;
CREATE TABLE odd_parents (id integer PRIMARY KEY, child integer);
CREATE TABLE odd_children (id integer PRIMARY KEY, parent integer REFERENCES odd_parents);
ALTER TABLE odd_parents ADD FOREIGN KEY (child) REFERENCES odd_children;
CREATE RULE odd_nothing AS ON DELETE TO odd_parents DO INSTEAD NOTHING;
CREATE FUNCTION odd_same(odd_word, odd_word) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2::text';
CREATE OPERATOR === (LEFTARG = odd_word, RIGHTARG = odd_word, FUNCTION = odd_same);
CREATE PROCEDURE odd_do() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE odd_sum (integer) (SFUNC = int4pl, STYPE = integer);
CREATE COLLATION odd_order FROM "C";
CREATE TEXT SEARCH CONFIGURATION odd_search (COPY = simple);
ALTER TABLE base_things ADD COLUMN "odd. note" text, ADD COLUMN odd_rank integer UNIQUE,
    ADD CONSTRAINT odd_rank_positive CHECK (odd_rank > 0);
CREATE INDEX odd_of_base ON base_things (id);
CREATE FUNCTION odd_text(odd_pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1).b::text';
CREATE CAST (odd_pair AS text) WITH FUNCTION odd_text(odd_pair);
CREATE PUBLICATION odd_feed FOR TABLE odd_parents, base_things;
"""


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, PiccoloApp]:
    """Two plugins: one with a table, and one with everything, also on the other's table."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, *migrations: tuple[str, str]) -> PiccoloApp:
        folder = tmp_path / f"objects_{name}" / "migrations"
        folder.mkdir(parents=True)
        for number, (forwards, backwards) in enumerate(migrations, 1):
            text = dedent(
                f"""
                from pegboard_sdk.database import sql_migration
                ID = "2026-11-24T00:0{number}:00:000000"
                async def forwards():
                    return sql_migration(
                        app={name!r}, id=ID, description="", forwards=({forwards!r},), backwards=({backwards!r},)
                    )
                """
            )
            (folder / f"{name}_2026_11_24_000{number}.py").write_text(text)
        (tmp_path / f"objects_{name}" / "__init__.py").touch()
        return PiccoloApp(name=name, tables=(), migrations=f"objects_{name}:migrations")

    return {
        "base": make("base", ("CREATE TABLE base_things (id integer)", "DROP TABLE base_things")),
        "odd": make(
            "odd",
            (ODD, ""),
            ("ALTER TABLE odd_days RENAME TO odd_dates", "ALTER TABLE odd_dates RENAME TO odd_days"),
        ),
    }  # fmt: skip


@pytest.fixture
async def owner(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect_as_owner(url)
    yield connection
    await connection.close()


async def test_what_one_plugin_made_goes_and_the_other_stays(
    url: str, owner: asyncpg.Connection, apps: dict[str, PiccoloApp]
) -> None:
    await migrate(url, [apps["base"]])
    before = await read_catalog(owner)
    assert (await migrate(url, list(apps.values()))).failed == {}

    made = await made_by(owner, "odd")
    async with owner.transaction():
        await drop_objects(owner, made)

    assert before.differences(await read_catalog(owner)) == []
    assert [str(one) for one in await made_by(owner, "base")] == [
        "table public.base_things",
        "table column public.base_things.id",
    ]
    assert "table public.odd_dates" in {str(one) for one in made}
    schemas = await owner.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'odd%'")
    assert schemas == []
    assert await owner.fetch("SELECT FROM pg_cast WHERE oid >= 16384") == []
    assert await owner.fetch("SELECT FROM pg_publication") == []


async def test_another_plugins_column_is_in_the_way(
    url: str, owner: asyncpg.Connection, apps: dict[str, PiccoloApp]
) -> None:
    await migrate(url, list(apps.values()))

    with pytest.raises(DroppingFailed, match="the plugin odd made it"):
        async with owner.transaction():
            await drop_objects(owner, await made_by(owner, "base"))


async def test_going_back_takes_things_off_the_record(
    url: str, owner: asyncpg.Connection, apps: dict[str, PiccoloApp]
) -> None:
    await migrate(url, list(apps.values()))

    await migrate_backwards(url, apps["odd"], FIRST)
    assert "table public.odd_days" in {str(one) for one in await made_by(owner, "odd")}

    await owner.execute('ALTER TABLE base_things DROP COLUMN odd_rank, DROP COLUMN "odd. note"')
    await migrate_backwards(url, apps["base"])
    assert await owner.fetchval("SELECT count(*) FROM kernel_plugin_objects WHERE plugin = 'base'") == 0


async def test_what_others_make_meanwhile_is_nobodys(url: str, owner: asyncpg.Connection) -> None:
    await migrate(url, [])
    other = await connect_as_owner(url)
    async with owner.transaction():
        before = await read_objects(owner)
        await owner.execute("CREATE TABLE mine_things (id integer PRIMARY KEY)")
        await other.execute("CREATE TABLE accountants_own (id integer PRIMARY KEY)")
        await owner.execute("DO $$ BEGIN CREATE TABLE mine_more (id integer); EXCEPTION WHEN others THEN NULL; END $$")
        async with owner.transaction():
            await owner.execute("CREATE FUNCTION mine_one() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
            await other.execute("ALTER TABLE accountants_own ADD COLUMN note text")
        await record_changes(owner, "mine", "first", before)
    await other.close()
    names = {one.name for one in await made_by(owner, "mine")}
    assert names >= {"mine_things", "mine_things_pkey", "mine_more", "mine_one"}
    assert names.isdisjoint({"accountants_own", "accountants_own_pkey", "note"})

    async with owner.transaction():
        await drop_objects(owner, await made_by(owner, "mine"))
    assert await owner.fetchval("SELECT to_regclass('accountants_own') IS NOT NULL")
    assert await owner.fetchval("SELECT to_regclass('mine_more') IS NULL")


async def test_an_extension_stays_whoever_asked_for_it_first(url: str, owner: asyncpg.Connection) -> None:
    await migrate(url, [])
    available = await owner.fetchval("SELECT name FROM pg_available_extensions WHERE name = 'pg_trgm'")
    if available is None:
        pytest.skip("this server has no pg_trgm")
    async with owner.transaction():
        before = await read_objects(owner)
        await owner.execute("CREATE EXTENSION pg_trgm")
        await owner.execute("CREATE TABLE mine_texts (text text)")
        await record_changes(owner, "mine", "first", before)
    async with owner.transaction():
        await drop_objects(owner, await made_by(owner, "mine"))
    assert await owner.fetchval("SELECT similarity('pegboard', 'pegboard')") == 1
