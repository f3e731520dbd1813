"""What is hashed: no two entries have the same content, and every part of it counts."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.audit.chain import ENTRY_FIELDS, START, Seal, SealKeys, content_of, encode
from pegboard.vault.errors import MasterKeyUnknown
from pegboard.vault.vault import Vault

KEYS = SealKeys(Vault(b"k" * 32))
ENTRY: dict[str, str | None] = {name: f"{name} of it" for name in ENTRY_FIELDS}
TIME = "2026-01-02T03:04:05+00:00"

_texts = st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)
_fields = st.lists(st.tuples(st.sampled_from(("a", "b", "a:1")), _texts), max_size=4)


@given(one=_fields, other=_fields)
def test_different_fields_have_different_bytes(one: list[Any], other: list[Any]) -> None:
    assert (encode("x", one) == encode("x", other)) is (one == other)


def test_what_a_text_looks_like_does_not_matter() -> None:
    assert encode("x", [("a", "1\nb:1:2")]) != encode("x", [("a", "1"), ("b", "2")])
    assert encode("x", [("a", None)]) != encode("x", [("a", "")]) != encode("x", [("a", "-")])
    assert encode("x", [("a", "ü")]) == b"x\na:2:\xc3\xbc"


@given(name=st.sampled_from(ENTRY_FIELDS), value=_texts)
def test_every_column_counts(name: str, value: str | None) -> None:
    changed = {**ENTRY, name: value}
    assert (content_of(ENTRY, 1, "k", TIME) == content_of(changed, 1, "k", TIME)) is (changed == ENTRY)


def test_a_seal_goes_back_to_all_before_it() -> None:
    first = KEYS.seal(START, ENTRY, sealed_at=TIME)
    second = KEYS.seal(first, ENTRY, sealed_at=TIME)
    assert (first.number, second.number) == (1, 2)
    assert len({first.hash, second.hash, first.mac, second.mac}) == 4
    for field, value in (("hash", bytes(32)), ("mac", bytes(32))):
        assert KEYS.seal(msgspec.structs.replace(first, **{field: value}), ENTRY, sealed_at=TIME).hash != second.hash


def test_another_master_key_gives_other_seals_and_signatures() -> None:
    others = SealKeys(Vault(b"o" * 32))
    ours, theirs = (keys.seal(START, ENTRY, sealed_at=TIME) for keys in (KEYS, others))
    assert ours.mac != theirs.mac
    head = KEYS.sign(str(UUID(int=1)), ours, signed_at=TIME)
    assert (KEYS.signed(head), others.signed(head)) == (True, None)
    assert others.signed(msgspec.structs.replace(head, key_id=others.key_id)) is False
    assert SealKeys(Vault(b"o" * 32, [b"k" * 32])).signed(head)


@pytest.mark.parametrize("field", ["tenant_id", "number", "hash", "mac", "key_id", "signed_at", "signature"])
def test_a_head_is_signed_as_a_whole(field: str) -> None:
    seal = Seal(number=7, hash=b"h" * 32, mac=b"m" * 32, key_id=KEYS.key_id, sealed_at=TIME)
    head = KEYS.sign(str(UUID(int=1)), seal, signed_at=TIME)
    changed = {"number": 8}.get(field, "0" * 128)
    assert not KEYS.signed(msgspec.structs.replace(head, **{field: changed}))


def test_keys_of_other_purposes_are_others() -> None:
    vault = Vault(b"k" * 32, [b"e" * 32])
    earlier = Vault(b"e" * 32)
    assert vault.derived_key("audit.seal") == vault.derived_key("audit.seal", vault.key_id)
    assert vault.derived_key("audit.seal", earlier.key_id) == earlier.derived_key("audit.seal")
    assert len({vault.derived_key(purpose) for purpose in ("audit.seal", "audit.head", "vault.seal")}) == 3
    with pytest.raises(MasterKeyUnknown):
        vault.derived_key("audit.seal", "0" * 16)
