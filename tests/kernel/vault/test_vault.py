"""Envelopes open with the right key for the right row, and in no other case."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.vault.errors import EnvelopeDamaged, MasterKeyUnknown
from pegboard.vault.vault import Vault

FIRST, SECOND = os.urandom(32), os.urandom(32)
texts = st.binary(max_size=200)


@given(text=texts, bound=texts)
def test_what_was_sealed_opens(text: bytes, bound: bytes) -> None:
    vault = Vault(FIRST)
    assert vault.decrypt(vault.encrypt(text, associated_data=bound), associated_data=bound) == text


@given(text=texts, bound=texts, other=texts)
def test_an_envelope_opens_only_where_it_belongs(text: bytes, bound: bytes, other: bytes) -> None:
    vault = Vault(FIRST)
    envelope = vault.encrypt(text, associated_data=bound)
    if bound != other:
        with pytest.raises(EnvelopeDamaged):
            vault.decrypt(envelope, associated_data=other)
        with pytest.raises(EnvelopeDamaged):
            vault.rotate(envelope, associated_data=other)


@given(data=st.data())
def test_a_changed_envelope_does_not_open(data: st.DataObject) -> None:
    vault = Vault(FIRST)
    envelope = bytearray(vault.encrypt(b"secret", associated_data=b"row"))
    at = data.draw(st.integers(0, len(envelope) - 1))
    envelope[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((EnvelopeDamaged, MasterKeyUnknown)):
        vault.decrypt(bytes(envelope), associated_data=b"row")


@given(length=st.integers(0, 100))
def test_a_cut_envelope_does_not_open(length: int) -> None:
    vault = Vault(FIRST)
    envelope = vault.encrypt(b"secret", associated_data=b"row")
    if length < len(envelope):
        with pytest.raises((EnvelopeDamaged, MasterKeyUnknown)):
            vault.decrypt(envelope[:length], associated_data=b"row")


def test_another_master_key_is_named_by_its_id() -> None:
    envelope = Vault(FIRST).encrypt(b"secret", associated_data=b"row")
    with pytest.raises(MasterKeyUnknown, match=Vault(FIRST).key_id):
        Vault(SECOND).decrypt(envelope, associated_data=b"row")


def test_rotation_brings_an_envelope_under_the_new_key_only() -> None:
    old = Vault(FIRST).encrypt(b"secret", associated_data=b"row")
    both = Vault(SECOND, [FIRST])
    assert both.decrypt(old, associated_data=b"row") == b"secret"
    rotated = both.rotate(old, associated_data=b"row")
    assert Vault(SECOND).decrypt(rotated, associated_data=b"row") == b"secret"
    with pytest.raises(MasterKeyUnknown):
        Vault(FIRST).decrypt(rotated, associated_data=b"row")


def test_the_same_text_is_never_sealed_alike() -> None:
    vault = Vault(FIRST)
    assert len({vault.encrypt(b"secret", associated_data=b"row") for _ in range(100)}) == 100


def test_derived_keys_depend_on_key_purpose_and_message() -> None:
    vault = Vault(FIRST)
    values = {
        vault.derive("a", b"m"),
        vault.derive("b", b"m"),
        vault.derive("a", b"n"),
        Vault(SECOND).derive("a", b"m"),
    }
    assert len(values) == 4
    assert vault.derive("a", b"m") == Vault(FIRST).derive("a", b"m")


def test_the_key_id_tells_nothing_of_the_key() -> None:
    assert Vault(FIRST).key_id not in FIRST.hex()
    assert len(Vault(FIRST).key_id) == 16
