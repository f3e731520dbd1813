"""How deep JSON may nest."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from pegboard.web.requests import nesting_exceeds

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\b'), inner, max_size=4),
    max_leaves=40,
)


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


@given(VALUES, st.integers(1, 12))
def test_counts_what_a_parser_would(value: object, bound: int):
    assert nesting_exceeds(json.dumps(value).encode(), bound) == (depth_of(value) > bound)


def test_ten_thousand_levels_are_refused_without_parsing():
    assert nesting_exceeds(b"[" * 10_000, 64)


@given(st.binary(max_size=300))
def test_never_fails_on_what_is_no_json(body: bytes):
    assert nesting_exceeds(body, 3) in (True, False)


def test_a_wide_body_is_not_a_deep_one():
    assert not nesting_exceeds(msgspec.json.encode([{"a": [1]}] * 1000), 3)
