"""What a plugin may say to the database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.capabilities import statements
from pegboard.capabilities.statements import Statements, owners_of_tables
from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.manifest import Capabilities, Manifest


def manifest(name: str, *tables: str) -> Manifest:
    return Manifest(name=name, summary=name, version="1", sdk=">=1", capabilities=Capabilities(tables=list(tables)))


SHOP = manifest("shop", "shop_items", "shop_orders")
OTHERS = (
    manifest("finance", "finance_escrows"),
    manifest("shop_tools", "shop_tools_keys"),
    manifest("off", "off_rows"),
)


def judge() -> Statements:
    manifests = (SHOP, *OTHERS)
    return Statements(SHOP, owners_of_tables(manifests), [one.name for one in manifests])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, migration, finance_note FROM shop_items i JOIN public.shop_orders o ON o.item_id = i.id",
        'INSERT INTO "shop_items" (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING *',
        "WITH gone AS (DELETE FROM shop_items RETURNING id) SELECT * FROM gone",
        "UPDATE shop_items SET note = 'see finance_escrows -- and kernel_accounts'",
        "SELECT o.finance_escrows FROM shop_orders o",
        "SELECT * FROM shop_search_items($1), shop_recent_items /* not finance_escrows */",
        "SELECT pg_advisory_xact_lock(1), to_regclass('finance_escrows')",
        "(SELECT 1) UNION VALUES (2)",
        "SELECT EXTRACT(epoch FROM now()), a IS DISTINCT FROM b FROM shop_items",
        "SELECT extract(epoch FROM finance_at), trim(both FROM off_note), substring(off_note FROM 1) FROM shop_items",
        "SELECT 1 FROM shop_items WHERE off_at IS DISTINCT FROM finance_at AND x IS NOT DISTINCT FROM migration",
        "WITH finance_totals (n) AS (SELECT 1) SELECT t.n FROM shop_items, finance_totals t",
        "WITH finance_escrows AS (SELECT 1 AS n), kernel_x AS (SELECT 2) SELECT finance_escrows.n FROM finance_escrows",
        "UPDATE shop_items SET off_note = 1, finance_at = now() FROM shop_orders o, public.shop_items i",
        "SELECT * FROM shop_items JOIN shop_orders USING (finance_id, off_id)",
        "",
    ],
)
def test_its_own_tables_views_and_functions_can_be_used(sql: str):
    judge().check(sql)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT * FROM finance_escrows", "finance_escrows"),
        ("SELECT * FROM shop_items, finance_escrows", "finance_escrows"),
        ('SELECT * FROM "finance_escrows"', "finance_escrows"),
        ("SELECT * FROM FINANCE_Escrows", "finance_escrows"),
        ('SELECT * FROM public . "finance_escrows"', "finance_escrows"),
        ("SELECT (SELECT count(*) FROM/**/finance_escrows)", "finance_escrows"),
        ("DELETE FROM ONLY finance_escrows", "finance_escrows"),
        ("SELECT 1 -- \n FROM finance_escrows", "finance_escrows"),
        ("SELECT E'\\'' FROM finance_escrows --'", "finance_escrows"),
        ("SELECT 1; DELETE FROM off_rows", "off_rows"),
        # Views and other things that no manifest lists: known by their prefix, where tables are named.
        ("SELECT * FROM shop_items, finance_view", "finance_view"),
        ("SELECT * FROM shop_items i JOIN shop_orders o ON i.id = o.id, finance_view", "finance_view"),
        ("SELECT * FROM shop_items WHERE id IN (SELECT id FROM shop_orders, finance_view)", "finance_view"),
        ("SELECT * FROM other.finance_view", "finance_view"),
        ("SELECT * FROM public.shop_items, public.finance_view", "finance_view"),
        ('SELECT * FROM shop_items, "public"."finance_view"', "finance_view"),
        ("DELETE FROM shop_items USING shop_orders, finance_view", "finance_view"),
        ("UPDATE shop_items SET x = 1 FROM shop_orders, finance_view", "finance_view"),
        ("MERGE INTO shop_items USING finance_view f ON true WHEN MATCHED THEN DELETE", "finance_view"),
        ("LOCK TABLE shop_items, finance_view", "finance_view"),
        ("SELECT * FROM shop_items, migration", "migration"),
        ("WITH finance_escrows AS (SELECT * FROM finance_escrows) SELECT * FROM finance_escrows", "finance_escrows"),
        ("WITH finance_view AS (SELECT 1) UPDATE finance_view SET x = 1", "finance_view"),
        ("WITH finance_view AS (SELECT 1) SELECT * FROM public.finance_view", "finance_view"),
        ("SELECT other.finance_post($1)", "finance_post"),
        ("SELECT * FROM shop_tools_keys", "shop_tools_keys"),
        ("SELECT * FROM shop_tools_view", "shop_tools_view"),
        ("SELECT finance_post($1)", "finance_post"),
        ("SELECT * FROM kernel_secrets", "kernel_secrets"),
        ("SELECT kernel_require_session($1)", "kernel_require_session"),
        ("SELECT * FROM migration", "migration"),
        ("SELECT * FROM pg_roles", "pg_roles"),
        ("SELECT * FROM shop_items, pg_catalog.pg_class", "pg_catalog"),
        ("SELECT * FROM information_schema.tables", "information_schema"),
        ("SELECT set_config('application_name', 'x', true)", "set_config"),
        ("SELECT query_to_xml('SELECT * FROM finance_escrows', true, true, '')", "query_to_xml"),
    ],
)
def test_what_is_another_s_can_not(sql: str, what: str):
    with pytest.raises(CapabilityDenied, match=what) as denied:
        judge().check(sql)
    assert (denied.value.plugin, denied.value.kind, denied.value.what) == ("shop", "table", what)


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN", "COMMIT", "rollback", "SET ROLE postgres", "RESET ROLE", "SET LOCAL application_name = 'x'",
        "SELECT 1; COMMIT", "COPY shop_items TO PROGRAM 'sh'", "CREATE TABLE shop_more ()", "DROP TABLE shop_items",
        "ALTER TABLE shop_items ADD x int", "TRUNCATE shop_items, finance_escrows", "COPY finance_escrows FROM STDIN",
        "DO $$ BEGIN END $$", "PREPARE x AS SELECT 1",
        "EXECUTE x", "NOTIFY x", "LISTEN x", "GRANT ALL ON shop_items TO public", "SAVEPOINT s", "/* x */ VACUUM",
        '"select" 1', "CALL shop_do()",
    ],
)  # fmt: skip
def test_only_rows_are_read_and_written(sql: str):
    with pytest.raises(CapabilityDenied, match="transactions are the kernel's"):
        judge().check(sql)


def test_the_refusal_says_whose_it_is_and_what_to_do():
    with pytest.raises(CapabilityDenied) as denied:
        judge().check("SELECT * FROM finance_escrows")
    for part in ("plugin shop", "finance_escrows", "plugin finance", "service", "capabilities.tables"):
        assert part in str(denied.value)


def test_an_unreadable_text_is_refused():
    with pytest.raises(CapabilityDenied, match="can't be read"):
        judge().check("SELECT 'a")


@given(st.text("ab ", max_size=8), st.sampled_from(["'{}'", "$${}$$", "/*{}*/", "--{}\n"]))
def test_a_foreign_table_is_found_after_anything_that_hides(text: str, hiding: str):
    with pytest.raises(CapabilityDenied):
        judge().check(f"SELECT {hiding.format(text)}, 1 FROM finance_escrows".replace("SELECT --", "SELECT 1 --"))


def test_texts_without_end_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statements, "MAX_TEXTS", 3)
    shop = judge()
    for number in range(10):
        shop.check(f"SELECT {number}")
        assert f"SELECT {number}" in shop.good
    assert len(shop.good) <= 3
