"""Values that a column may be tried with."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from pegboard_sdk.ids import new_id

from pegboard.conformance.dynamic.payloads import NUMBERS, TEXTS

__all__ = ("candidates",)

_SHARED = str(UUID(int=1))
"""The same in all columns: where a check wants two to be equal."""
_LONGEST = 400
"""Of what a check says of a length."""
_PLAIN: dict[str, Sequence[Any]] = {
    "boolean": (True, False),
    "json": ({}, [], "a", 1),
    "jsonb": ({}, [], "a", 1),
    "date": ("2026-01-02", "2026-01-03"),
    "interval": ("1 day", "1 hour"),
    "inet": ("192.0.2.1",),
    "cidr": ("192.0.2.0/24",),
    "macaddr": ("02:00:00:00:00:01",),
    "tsvector": ("a",),
    "time without time zone": ("03:04:05", "04:05:06"),
    "time with time zone": ("03:04:05Z", "04:05:06Z"),
    "timestamp with time zone": ("2026-01-02 03:04:05Z", "2026-01-03 03:04:05Z", "2025-01-02 03:04:05Z"),
    "timestamp without time zone": ("2026-01-02 03:04:05", "2026-01-03 03:04:05", "2025-01-02 03:04:05"),
    "int4range": ("[1,2)", "[2,9)"),
    "int8range": ("[1,2)", "[2,9)"),
    "numrange": ("[1,2)", "[2,9)"),
    "daterange": ("[2026-01-02,2026-01-03)",),
    "tsrange": ("[2026-01-02,2026-01-03)",),
    "tstzrange": ("[2026-01-02Z,2026-01-03Z)",),
    "point": ("(1,1)",),
    "xml": ("<a/>",),
}
_TEXTUAL = ("text", "character varying", "character", "bpchar", "citext", "name")
_NUMERIC = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


def candidates(type: str, *, labels: Sequence[str] = (), element: str = "", hints: Sequence[str] = ()) -> list[Any]:
    """Values of a PostgreSQL type as JSON has them, the likeliest first.

    `labels` are an enumeration's, `element` is an array's type, `hints` are the definitions of checks on the column:
    the texts and numbers in them are tried too.
    """
    found = _of(type, labels, element, hints)
    return list({json.dumps(value): value for value in found}.values())


def _of(type: str, labels: Sequence[str], element: str, hints: Sequence[str]) -> Iterator[Any]:
    if labels and not element:
        yield from labels
    elif element:
        inner = candidates(element, labels=labels, hints=hints)
        yield []
        yield from ([value] for value in inner)
        yield inner[:2]
    elif type == "uuid":
        yield str(new_id())
        yield _SHARED
    elif type == "bytea":
        yield from ("\\x" + "00" * size for size in (1, *_sizes(hints)))
    elif type in _NUMERIC:
        yield 1
        yield from _numbers(hints)
        for number in _numbers(hints):
            yield from (number + 1, number - 1)
        yield from NUMBERS
        yield 0.5
    elif type in _TEXTUAL:
        yield from _quoted(hints)
        # Short ones that people write into columns: a currency first.
        yield from ("EUR", *TEXTS)
        yield from ("a" * size for size in _sizes(hints))
        yield new_id().hex
    else:
        yield from _PLAIN.get(type, ("1", "a"))


def _quoted(hints: Sequence[str]) -> Iterator[str]:
    for hint in hints:
        yield from (text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", hint))


def _numbers(hints: Sequence[str]) -> list[int]:
    # What is quoted is a number too where PostgreSQL writes '5'::bigint, and (-1) a negative one.
    return [int(text) for hint in hints for text in re.findall(r"(?<![\w.])-?\d{1,18}(?![\w.])", hint)]


def _sizes(hints: Sequence[str]) -> list[int]:
    return [size for number in _numbers(hints) for size in (number, number + 1, number - 1) if 0 < size <= _LONGEST]
