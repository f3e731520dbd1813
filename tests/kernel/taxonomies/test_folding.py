"""What sorting and prefix search make of labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.taxonomies.folding import LAST, fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Élan  vital ", "elan vital"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("ЁЛКА", "елка"),
        ("ﬁne", "fine"),
        ("\uff37\uff49de", "wide"),
        ("Ǆ", "dz"),
        ("12 ㎾", "12 kw"),
        ("設計", "設計"),
    ],
)
def test_case_accents_and_forms_do_not_matter(text: str, folded: str):
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_is_folding_once(text: str):
    assert fold(fold(text)) == fold(text)


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs",))),
    st.text(alphabet=st.characters(exclude_categories=("Cs",))),
)
def test_a_prefix_is_a_range_of_bytes(prefix: str, rest: str):
    whole = (prefix + rest).encode()
    assert prefix.encode() <= whole <= (prefix + LAST).encode() or rest.startswith(LAST)
