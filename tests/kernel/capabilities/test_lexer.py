"""What names an SQL text holds: as PostgreSQL reads it, whatever is hidden in strings and comments."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.capabilities.lexer import UnreadableSql, words


def names(sql: str) -> list[str]:
    return [word.text for word in words(sql) if word.name]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT Ab FROM x", ["select", "ab", "from", "x"]),
        ('"Ab""c" x', ['Ab"c', "x"]),
        ("'it''s hidden' x", ["x"]),
        ("'a\\' b 'c'", ["b"]),
        ("E'a\\' hidden' b", ["b"]),
        ("e'a'\n  '\\' hidden' b", ["b"]),
        ("e'a' -- so\n '\\' hidden' b", ["b"]),
        ("e'a' '\\' b", ["b"]),
        ("name'x' b", ["name", "b"]),
        ("-- hidden\nb", ["b"]),
        ("/* hidden /* deeper */ hidden */ b", ["b"]),
        ("a--hidden", ["a"]),
        ("$$ hidden $$ b", ["b"]),
        ("$x$ hidden $$ hidden $x$ b", ["b"]),
        ("a$x$b c", ["a$x$b", "c"]),
        ("$1 b $2::text", ["b", "text"]),
        ("1e5", ["e5"]),
        ("naïve\u00a0x y", ["naïve\u00a0x", "y"]),
        ("İd", ["İd"]),
        ("x" * 70, ["x" * 63]),
        ("x" * 62 + "éé", ["x" * 62]),
    ],
)
def test_names_are_what_postgresql_would_take_for_one(sql: str, found: list[str]):
    assert names(sql) == found


@pytest.mark.parametrize("sql", ["'a", "E'a\\'", '"a', '""', "$$ a", "$x$ a $y$", "/* /* */", 'U&"\\0066"', "u&'x'"])
def test_a_text_whose_end_is_not_clear_is_not_read(sql: str):
    with pytest.raises(UnreadableSql):
        list(words(sql))


PIECES = st.one_of(
    st.text("abz_", min_size=1, max_size=5).map(lambda name: (f" {name} ", [name])),
    st.text(min_size=1, max_size=8)
    .filter(lambda text: "\x00" not in text and len(text.encode(errors="replace")) < 60)
    .map(lambda text: (' "' + text.replace('"', '""') + '" ', [text])),
    st.text(max_size=12).map(lambda text: ("+'" + text.replace("'", "''") + "' + ", [])),
    st.text(max_size=12).map(lambda text: (" E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "' + ", [])),
    st.text("ab$'\"/*- \n", max_size=12).map(lambda text: (f" $q${text.replace('$', '')}$q$ ", [])),
    st.text("ab'\"$ ", max_size=12).map(lambda text: (f" --{text}\n", [])),
    st.text("ab'\"$- \n", max_size=12).map(lambda text: (f" /*{text}/*{text}*/*/ ", [])),
    st.sampled_from([(" $1 ", []), (" , ", []), (" (1.5) ", []), (";", []), (" ::", [])]),
)


@given(st.lists(PIECES, max_size=12))
def test_whatever_stands_beside_it_a_name_is_found_and_nothing_else_is(pieces: list[tuple[str, list[str]]]):
    sql = "".join(text for text, _ in pieces)
    assert names(sql) == [name for _, found in pieces for name in found]


@given(st.text("aE$'\"\\/*-\n ;&uU", max_size=30))
def test_any_text_is_read_to_its_end_or_refused(sql: str):
    with contextlib.suppress(UnreadableSql):
        list(words(sql))
