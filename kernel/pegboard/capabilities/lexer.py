"""Splits SQL into the words that could name something: as PostgreSQL's own lexer does, without strings and comments.

Source of the rules: PostgreSQL's documentation, "Lexical Structure" (4.1), and the flex rules behind it for strings
that go on in the next line.
"""

import re
from collections.abc import Iterator

import msgspec

__all__ = ("UnreadableSql", "Word", "words")

_HORIZONTAL = r"(?:[ \t\f\v]|--[^\n\r]*)*"
_NEXT_LINE = rf"{_HORIZONTAL}[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*'(?!')"

# Bytes beyond ASCII belong to identifiers, whatever character they make: so no \s and no \w here.
_TOKEN = re.compile(
    rf"""
      (?P<space>    [ \t\n\r\f\v]+ | --[^\n\r]* )
    | (?P<comment>  /\* )
    | (?P<escaped>  [eE]{_ESCAPED}(?:{_NEXT_LINE}{_ESCAPED})* )
    | (?P<hidden>   [uU]&["'] )
    | (?P<string>   '(?:[^']|'')*'(?!') )
    | (?P<dollar>   \$(?P<tag>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?\$ )
    | (?P<quoted>   "(?:[^"]|"")+"(?!") )
    | (?P<name>     (?![eE]')[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]* )
    | (?P<other>    \$?[0-9]+ | (?![eE]')[^"'] )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_NAME_BYTES = 63
_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class UnreadableSql(ValueError):
    """The text has an end that PostgreSQL would miss, or hides names behind escapes."""


class Word(msgspec.Struct, frozen=True):
    """A name, as PostgreSQL folds and cuts it, or a character of punctuation. `quoted` names are never keywords."""

    text: str
    name: bool
    quoted: bool = False


def words(sql: str) -> Iterator[Word]:
    """The words of `sql` in their order.

    Raises:
        UnreadableSql: a string, comment or quoted name doesn't end, or a name is written with Unicode escapes.
    """
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise UnreadableSql("a string or a quoted name in it does not end")
        at, kind = match.end(), match.lastgroup
        if kind == "name":
            yield Word(_cut(match[0].translate(_FOLD)), True)
        elif kind == "quoted":
            yield Word(_cut(match[0][1:-1].replace('""', '"')), True, True)
        elif kind == "comment":
            at = _end_of_comment(sql, at)
        elif kind == "hidden":
            raise UnreadableSql('names and strings with Unicode escapes (U&"…") are not read: write the characters')
        elif match["dollar"] is not None:
            end = sql.find(match["dollar"], at)
            if end < 0:
                raise UnreadableSql(f"its {match['dollar']} does not end")
            at = end + len(match["dollar"])
        elif kind == "other":
            yield Word(match[0], False)


def _end_of_comment(sql: str, at: int) -> int:
    """Comments nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, at)
        if edge is None:
            raise UnreadableSql("a comment in it does not end")
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at


def _cut(name: str) -> str:
    """PostgreSQL cuts longer names, at a whole character."""
    encoded = name.encode()
    return name if len(encoded) <= _NAME_BYTES else encoded[:_NAME_BYTES].decode(errors="ignore")
