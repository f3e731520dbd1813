"""Finds which words of a statement name tables, and which name a common table expression of its own.

It follows PostgreSQL's grammar as far as units of work may go (SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, TABLE,
LOCK) and no further: brackets open a level, and each level has at most one list of tables at a time. Words that it
can't place are left to the judge, who knows the names of all plugins' tables.
"""

from collections.abc import Iterator, Sequence

import msgspec

from pegboard.capabilities.lexer import UnreadableSql, Word

__all__ = ("Naming", "naming")

_OPENING = {"(": ")", "[": "]"}
_VERBS = frozenset({"insert", "update", "delete", "merge", "lock"})
"""They are not reserved: columns may have these names too, so they count where a statement begins."""
_ENDS_TABLES = frozenset(
    {"where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except"}
    | {"returning", "do"}
)
"""Reserved, so none can be an alias within the list."""
_PASSED = frozenset({"only", "lateral"})


class Naming(msgspec.Struct, frozen=True):
    """Places of words: those that name a table or view, and those that name a common table expression."""

    tables: frozenset[int]
    expressions: frozenset[int]


class _Level(msgspec.Struct):
    """What a pair of brackets holds, or a statement. A table's name is `expected` next; commas bring further ones while
    it `lists`; a `target` is never an expression of WITH; `joins` are yet without ON or USING.
    """

    verb: str = ""
    expected: bool = False
    lists: bool = False
    target: bool = False
    joins: int = 0
    closing: str = ""
    visible: dict[str, int] = {}
    """Expressions of the level's WITH, and after which word each can be seen."""


def naming(found: Sequence[Word]) -> Naming:
    """Places of the names in a text of one or several statements.

    Raises:
        UnreadableSql: brackets don't match.
    """
    return _Reader(found).read()


class _Reader:
    def __init__(self, found: Sequence[Word]) -> None:
        self._found = found
        self._levels = [_Level()]
        self._tables: set[int] = set()
        self._expressions: set[int] = set()

    def read(self) -> Naming:
        place = 0
        while place < len(self._found):
            place = self._word(place) + 1
        if len(self._levels) > 1:
            raise UnreadableSql(f"a {self._levels[-1].closing} is missing in it")
        return Naming(frozenset(self._tables), frozenset(self._expressions))

    def _word(self, place: int) -> int:
        """Take a word in; gives the last place that belongs to it."""
        level, word = self._levels[-1], self._found[place]
        if not word.name:
            self._mark(level, word.text)
        elif not self._is_keyword(place) or not self._keyword(level, place):
            return self._name(level, place)
        return place

    def _mark(self, level: _Level, mark: str) -> None:
        if mark in _OPENING:
            expected, level.expected = level.expected and mark == "(", False
            self._levels.append(_Level(expected=expected, closing=_OPENING[mark]))
        elif mark in (")", "]"):
            if level.closing != mark:
                raise UnreadableSql(f"a {mark} in it closes nothing")
            self._levels.pop()
        elif mark == ";":
            if level.closing:
                raise UnreadableSql(f"a {level.closing} is missing in it")
            self._levels = [_Level()]
        elif mark == ",":
            level.expected = level.lists
        elif mark not in (".", "*"):
            level.expected = False

    def _is_keyword(self, place: int) -> bool:
        """Whether the word may be one: not quoted, no column (after a dot), no label (after AS)."""
        return not self._found[place].quoted and self._before(place) not in (".", "as")

    def _keyword(self, level: _Level, place: int) -> bool:
        """Take a keyword in; whether it was one that matters here."""
        text = self._found[place].text
        if text == "with":
            self._with(level, place)
        elif text in ("select", "values", "table"):
            if text == "values" and self._text(place + 1) != "(":
                return False
            level.verb = level.verb if text == "table" and level.verb == "lock" else text
            level.expected, level.target = text == "table", False
            level.lists = level.verb == "lock"
        elif text in _VERBS and self._begins(level, place):
            level.verb = text
            level.expected = text in ("update", "lock")
            level.lists, level.target = text == "lock", level.expected
        elif text == "from" and (level.verb or level.visible) and not self._compares(place):
            level.expected = level.lists = True
            level.target, level.joins = level.verb == "delete", 0
        elif text == "into":
            level.expected = level.target = True
        elif text == "join":
            level.expected, level.target = True, False
            level.joins += not self._joins_without_condition(place)
        elif text == "using":
            if level.joins:
                level.joins -= 1
            elif level.verb in ("delete", "merge"):
                level.expected = level.lists = True
                level.target = False
        elif text == "on":
            level.joins = max(0, level.joins - 1)
        elif text in _ENDS_TABLES or (text == "when" and level.verb == "merge"):
            level.expected = level.lists = False
        else:
            return text in _PASSED
        return True

    def _name(self, level: _Level, place: int) -> int:
        """A name; with dots behind it, all of it where a table is expected."""
        last = place
        if level.expected:
            while self._text(last + 1) == "." and last + 2 < len(self._found) and self._found[last + 2].name:
                last += 2
            level.expected = False
            called = self._text(last + 1) == "(" and not level.target
            if last == place and not level.target and self._visible(place):
                self._expressions.add(place)
            elif not called:
                self._tables.add(last)
            level.target = level.verb == "lock"
        elif self._before(place) != "." and self._visible(place):
            self._expressions.add(place)
        return last

    def _with(self, level: _Level, place: int) -> None:
        """Note the expressions of a WITH. Without RECURSIVE each is seen by what follows it only: in itself, its name
        is that of a table.
        """
        level.expected = False
        recursive = self._text(place + 1) == "recursive" and self._body(place + 2) is not None
        at = place + 1 + recursive
        while (body := self._body(at)) is not None:
            end = self._end(body)
            level.visible[self._found[at].text] = place if recursive else end
            self._expressions.add(at)
            # SEARCH and CYCLE may stand between; their own commas are not followed by an expression.
            at = next((one + 1 for one in self._commas(end) if self._body(one + 1) is not None), len(self._found))

    def _body(self, place: int) -> int | None:
        """Where the bracket of an expression's body opens, if one begins here: name [(columns)] AS [[NOT] MATERIALIZED]
        (…).
        """
        if place >= len(self._found) or not self._found[place].name:
            return None
        at = place + 1
        if self._text(at) == "(":
            at = self._end(at) + 1
        if self._text(at) != "as":
            return None
        at += 1
        while self._text(at) in ("not", "materialized"):
            at += 1
        return at if self._text(at) == "(" else None

    def _end(self, opening: int) -> int:
        """Where a bracket closes that opens here."""
        depth = 0
        for place in range(opening, len(self._found)):
            word = self._found[place]
            if not word.name:
                depth += (word.text in _OPENING) - (word.text in (")", "]"))
                if depth == 0:
                    return place
        raise UnreadableSql("a ) is missing in it")

    def _commas(self, after: int) -> Iterator[int]:
        """Commas that follow, up to where the statement of this WITH begins or its level ends."""
        for place in range(after + 1, len(self._found)):
            word = self._found[place]
            if word.text in ("(", ")", ";") and not word.name:
                return
            if word.text in ("select", *_VERBS) and not word.quoted:
                return
            if word.text == "," and not word.name:
                yield place

    def _visible(self, place: int) -> bool:
        name = self._found[place].text
        return any(level.visible.get(name, place) < place for level in self._levels)

    def _begins(self, level: _Level, place: int) -> bool:
        return not level.verb and (place == 0 or self._before(place) in ("(", ")", ";") or bool(level.visible))

    def _compares(self, place: int) -> bool:
        """IS [NOT] DISTINCT FROM."""
        return self._before(place) == "distinct" and self._text(place - 2) in ("is", "not")

    def _joins_without_condition(self, place: int) -> bool:
        """CROSS JOIN, NATURAL [INNER | LEFT | RIGHT | FULL [OUTER]] JOIN."""
        before = [self._text(place - back) for back in (1, 2, 3)]
        kinds = ("inner", "left", "right", "full", "outer")
        return "cross" in before[:1] or next((one for one in before if one not in kinds), "") == "natural"

    def _before(self, place: int) -> str:
        return self._text(place - 1)

    def _text(self, place: int) -> str:
        """A word as a keyword or mark; nothing where there is none, or it is quoted."""
        if not 0 <= place < len(self._found) or self._found[place].quoted:
            return ""
        return self._found[place].text
