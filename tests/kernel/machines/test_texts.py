"""The text of a key: anybody can tell one, and a typo, without asking."""

import re

from hypothesis import given
from hypothesis import strategies as st
from pegboard.machines.texts import MachineText, TextKind

KINDS: st.SearchStrategy[TextKind] = st.sampled_from(("api_key", "client_secret"))


@given(KINDS)
def test_a_key_is_read_as_it_was_made(kind: TextKind) -> None:
    made = MachineText.make(kind)
    assert MachineText.parse(made.reveal(), kind) == made
    assert re.fullmatch(r"pbc?_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", made.reveal())
    assert made.secret not in repr(made)
    assert MachineText.parse(made.reveal(), "client_secret" if kind == "api_key" else "api_key") is None


@given(st.data())
def test_one_wrong_character_is_noticed(data: st.DataObject) -> None:
    text = MachineText.make("api_key").reveal()
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != text[at]))
    assert MachineText.parse(text[:at] + wrong + text[at + 1 :], "api_key") is None


@given(st.text(max_size=80))
def test_other_texts_are_no_keys(text: str) -> None:
    assert MachineText.parse(text, "api_key") is None
    assert MachineText.parse(f"pb_{text}", "api_key") is None
