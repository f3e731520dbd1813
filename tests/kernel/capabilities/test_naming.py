"""Which words of a statement are tables: judged by hand here, and by PostgreSQL itself where it plans made-up ones."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pegboard.capabilities.lexer import UnreadableSql, words
from pegboard.capabilities.naming import naming

from tests.support.platform import TestPlatform


def tables(sql: str) -> set[str]:
    found = list(words(sql))
    return {found[place].text for place in naming(found).tables}


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        # Lists of tables
        ("SELECT * FROM a", "a"),
        ("SELECT * FROM a, b", "a b"),
        ("SELECT * FROM a x, b AS y, c", "a b c"),
        ("SELECT * FROM a JOIN b ON a.x = b.x, c", "a b c"),
        ("SELECT * FROM a LEFT JOIN b USING (c, d), e", "a b e"),
        ("SELECT * FROM a NATURAL LEFT OUTER JOIN b CROSS JOIN c, d", "a b c d"),
        ("SELECT * FROM (a JOIN b ON true) JOIN ((c CROSS JOIN d)) ON true", "a b c d"),
        ("SELECT * FROM a JOIN b ON CASE WHEN a.x THEN b.y ELSE false END, c", "a b c"),
        ("SELECT * FROM a JOIN b ON a.x @> ARRAY[b.x, b.y], c", "a b c"),
        ("SELECT * FROM ONLY a, ONLY (b), c *, d", "a b c d"),
        ("SELECT * FROM a TABLESAMPLE system (1) REPEATABLE (2), b", "a b"),
        ("SELECT * FROM a insert, b delete, c update, d merge, e set, f lock, g", "a b c d e f g"),
        ("SELECT * FROM unnest($1) WITH ORDINALITY AS t (x, y), a", "a"),
        ("SELECT * FROM ROWS FROM (f(1), g(2)) AS t, a", "rows a"),
        ("SELECT * FROM a, LATERAL (SELECT * FROM b, c) x, d", "a b c d"),
        ("SELECT * FROM f(x), json_to_recordset(y) AS z (q int, r text), a", "a"),
        ("SELECT * FROM public.a, other . b, db.public.c x", "a b c"),
        ('SELECT * FROM "a", "From" JOIN "public"."b c" ON true, "select"', "a|From|b c|select"),
        ("SELECT * FROM/**/a--\n,/* b */c", "a c"),
        # What follows a list of tables
        ("SELECT * FROM a WHERE x IN (1, 2) AND y = 1 GROUP BY b, c HAVING d > 1 ORDER BY e, f LIMIT 1", "a"),
        ("SELECT * FROM a WINDOW w AS (PARTITION BY b, c), v AS (ORDER BY d)", "a"),
        ("SELECT * FROM a FOR UPDATE OF a, b SKIP LOCKED", "a"),
        ("SELECT * FROM a FOR NO KEY UPDATE", "a"),
        ("SELECT a.x, b.y FROM a UNION ALL SELECT c, d FROM b, c EXCEPT TABLE d", "a b c d"),
        # FROM that begins no list of tables
        ("SELECT extract(year FROM x), extract(epoch FROM (y)) FROM a", "a"),
        ("SELECT substring(x FROM 1 FOR y), trim(both FROM z), trim(leading 'x' FROM y) FROM a", "a"),
        ("SELECT overlay(x PLACING y FROM 2) FROM a WHERE b IS DISTINCT FROM c OR d IS NOT DISTINCT FROM e", "a"),
        ("SELECT * FROM a JOIN b ON a.x IS NOT DISTINCT FROM y, c", "a b c"),
        ("SELECT trim(both FROM (SELECT x FROM b)) FROM a", "a b"),
        ("SELECT a.from, b.join, 1 AS from FROM a", "a"),
        ("SELECT 1 AS select, 2 AS update FROM a, b", "a b"),
        # Below
        ("SELECT (SELECT count(*) FROM b), ARRAY(SELECT x FROM c) FROM a WHERE EXISTS (SELECT FROM d, e)", "a b c d e"),
        ("SELECT * FROM (VALUES (1, 2), (3, 4)) AS v (x, y), a", "a"),
        ("SELECT * FROM a WHERE x IN (TABLE b) OR x = ANY ((SELECT y FROM c))", "a b c"),
        ("((SELECT * FROM a) UNION (SELECT * FROM b)) ORDER BY c, d", "a b"),
        # Common table expressions
        ("WITH x AS (SELECT * FROM a) SELECT * FROM x, b", "a b"),
        ("WITH x AS (SELECT 1), y (p, q) AS MATERIALIZED (SELECT * FROM x, a) SELECT * FROM y JOIN x ON true", "a"),
        ("WITH x AS NOT MATERIALIZED (SELECT 1) SELECT * FROM (SELECT * FROM x) z", ""),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", "a"),  # the first `a` in it is the table
        ("WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM x, y), y AS (SELECT * FROM a) SELECT * FROM x", "a"),
        ("WITH x AS (SELECT 1) SELECT * FROM public.x", "x"),
        ("SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) y, x", "x"),
        ("WITH x AS (SELECT 1) SELECT 1; SELECT * FROM x", "x"),
        ("WITH x AS (SELECT 1) DELETE FROM x", "x"),  # what is changed is never an expression
        ("WITH x AS (DELETE FROM a USING b RETURNING *) INSERT INTO c SELECT * FROM x", "a b c"),
        ("WITH RECURSIVE x AS (SELECT 1) CYCLE p, q SET r USING s, y AS (SELECT 1) DELETE FROM a USING x, y", "a"),
        ("WITH RECURSIVE x AS (SELECT 1) SEARCH DEPTH FIRST BY p, q SET r SELECT * FROM x, a", "a"),
        ("INSERT INTO a WITH x AS (SELECT 1) SELECT * FROM x, b", "a b"),
        ('WITH "X" AS (SELECT 1) SELECT * FROM x, "X"', "x"),
        # Changes
        ("INSERT INTO a (x, y) VALUES ($1, (SELECT z FROM b)) ON CONFLICT (x) DO UPDATE SET y = c RETURNING d", "a b"),
        ("INSERT INTO public.a AS t DEFAULT VALUES", "a"),
        ("INSERT INTO a SELECT * FROM b, c ON CONFLICT ON CONSTRAINT k DO NOTHING", "a b c"),
        ("UPDATE ONLY a SET x = 1, y = b FROM c, d JOIN e ON true WHERE f RETURNING g, h", "a c d e"),
        ("UPDATE a t SET (x, y) = (SELECT p, q FROM b)", "a b"),
        ("DELETE FROM a USING b, c JOIN d USING (e, f), g WHERE h", "a b c d g"),
        ("DELETE FROM a USING (SELECT * FROM b) x, c", "a b c"),
        (
            "MERGE INTO a t USING b ON t.x = b.x WHEN MATCHED AND c THEN UPDATE SET x = d, y = e"
            " WHEN NOT MATCHED THEN INSERT (f, g) VALUES (h, i) WHEN MATCHED THEN DELETE",
            "a b",
        ),
        ("MERGE INTO a USING (SELECT * FROM b, c) s ON true WHEN MATCHED THEN DO NOTHING", "a b c"),
        ("LOCK TABLE a, ONLY public.b IN SHARE MODE", "a b"),
        ("LOCK a, b", "a b"),
        ("TABLE a", "a"),
        ("SELECT x, finance.y, f(g) AS h, ($1)::t, CAST(i AS j), timestamp with time zone 'now'", ""),
    ],
)  # fmt: skip
def test_tables_are_told_from_other_names(sql: str, named: str):
    assert tables(sql) == set(filter(None, named.split("|" if "|" in named else " ")))


@pytest.mark.parametrize("sql", ["SELECT (1", "SELECT 1)", "SELECT ARRAY[1)", "SELECT (1; SELECT 2)", "WITH a AS ("])
def test_brackets_that_do_not_match_are_refused(sql: str):
    with pytest.raises(UnreadableSql):
        naming(list(words(sql)))


_TABLES = ("t_one", "t_two", "t_three", "t_four")
_SPACE = st.sampled_from([" ", "\n", " /* FROM t_four, */ ", " -- JOIN t_four\n", "  "])


def _written(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.upper(), f'"{name}"', f"public.{name}", f'public . "{name}"', f"ONLY {name}"])


@st.composite
def _item(draw: Any, depth: int, expressions: tuple[str, ...], number: list[int]) -> str:
    """An item of a list of tables; every alias is new, and has `id` and `n`."""
    number[0] += 1
    alias = f"a{number[0]}"
    kind = draw(st.sampled_from(["table", "table", "expression", "below", "function", "join", "values"]))
    if kind == "expression" and expressions:
        return f"{draw(st.sampled_from(expressions))} {alias}"
    if kind == "below" and depth:
        lateral = draw(st.sampled_from(["", "LATERAL "]))
        return f"{lateral}({draw(_select(depth - 1, expressions, number))}) AS {alias}"
    if kind == "function":
        return f"generate_series(1, 2) WITH ORDINALITY AS {alias} (id, n)"
    if kind == "values":
        return f"(VALUES (1, 2), (3, 4)) {alias} (id, n)"
    if kind == "join" and depth:
        left, right = (draw(_item(depth - 1, expressions, number)) for _ in range(2))
        natural = f"{{}} NATURAL FULL OUTER JOIN (SELECT 1 AS only_{alias}) n{alias} CROSS JOIN {{}}"
        joins = ["{} JOIN {} ON CASE WHEN true THEN true END", "{} CROSS JOIN {}", natural]
        joined = draw(st.sampled_from(joins)).format(left, right)
        return f"({joined})" if draw(st.booleans()) else joined
    return f"{draw(_written(draw(st.sampled_from(_TABLES))))}{draw(_SPACE)}{alias}"


@st.composite
def _select(draw: Any, depth: int, expressions: tuple[str, ...], number: list[int]) -> str:
    """A query of `id` and `n`."""
    head = ""
    if depth and draw(st.booleans()):
        # Some are named as tables are: in its own body, and only there, such a name is the table's.
        name = draw(st.sampled_from([*_TABLES, "x_one"]))
        recursive, number[0] = draw(st.booleans()), number[0] + 1
        body = draw(_select(depth - 1, (*expressions, name) if recursive and name == "x_one" else expressions, number))
        head = f"WITH {name} (id, n) AS {draw(st.sampled_from(['', 'MATERIALIZED ']))}({body}) "
        if recursive:
            head = head.replace("WITH", f"WITH RECURSIVE r{number[0]} (id, n) AS (SELECT 1, 2),", 1)
        expressions = (*expressions, name)
    items = draw(st.lists(_item(depth, expressions, number), min_size=1, max_size=3))
    sql = f"{head}SELECT 1 AS id, extract(epoch FROM now())::int AS n FROM{draw(_SPACE)}"
    sql += f"{draw(_SPACE)},{draw(_SPACE)}".join(items)
    if draw(st.booleans()):
        sql += " WHERE trim(both FROM 'x') IS DISTINCT FROM substring('xy' FROM 1 FOR 1)"
    if depth and draw(st.booleans()):
        sql += f" UNION ALL ({draw(_select(depth - 1, expressions, number))})"
    return sql


@pytest.fixture
async def owner(platform: TestPlatform) -> AsyncIterator[asyncpg.Connection]:
    """In a transaction in which there are the tables."""
    connection = await asyncpg.connect(platform.runtime.database.urls.owner)
    try:
        await connection.execute("BEGIN")
        for name in _TABLES:
            await connection.execute(f"CREATE TABLE {name} (id int, n int)")
        yield connection
    finally:
        await connection.close()  # it takes back what was begun


_DEPENDS_ON = """
SELECT DISTINCT tables.relname::text AS name
FROM pg_rewrite rules JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = rules.oid
JOIN pg_class tables ON refclassid = 'pg_class'::regclass AND refobjid = tables.oid AND relkind = 'r'
WHERE rules.ev_class = 'made_up'::regclass
"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(sql=st.builds(list).flatmap(lambda _: _select(2, (), [0])))
async def test_made_up_queries_are_read_as_postgresql_reads_them(owner: asyncpg.Connection, sql: str):
    """A view keeps on record which tables its query names, also in what is never run."""
    await owner.execute("SAVEPOINT made_up")
    try:
        await owner.execute(f"CREATE VIEW made_up AS {sql}")
        expected = {row["name"] for row in await owner.fetch(_DEPENDS_ON)}
    except asyncpg.InvalidRecursionError:
        assume(False)
        raise
    finally:
        await owner.execute("ROLLBACK TO made_up")
    assert tables(sql) == expected, sql
