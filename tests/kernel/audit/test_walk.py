"""Any number of changes to a chain, of any kind: the first row that differs is the first that is named."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pegboard.audit.chain import ENTRY_FIELDS, START, AuditHead, SealKeys
from pegboard.audit.walk import AuditReport, Walk
from pegboard.vault.vault import Vault

TENANT = "00000000-0000-7000-8000-000000000001"
OURS, THEIRS = Vault(b"k" * 32), Vault(b"o" * 32)
SEAL_FIELDS = ("hash", "mac", "key_id", "sealed_at")

Row = dict[str, Any]


def made(length: int, vault: Vault = OURS, *, rotated: int = 0) -> tuple[list[Row], AuditHead]:
    """A chain and its head. The first `rotated` entries were sealed under an earlier master key."""
    rows: list[Row] = []
    seal = START
    keys = SealKeys(vault)
    for number in range(1, length + 1):
        entry: dict[str, Any] = {name: f"{name} {number}" for name in ENTRY_FIELDS} | {"reason": None}
        seal = (SealKeys(Vault(b"e" * 32)) if number <= rotated else keys).seal(seal, entry, sealed_at=f"t{number}")
        rows.append(
            {
                **entry, "number": number, "entry_id": entry["id"], "hash": seal.hash, "mac": seal.mac,
                "key_id": seal.key_id, "sealed_at": seal.sealed_at,
            }
        )  # fmt: skip
    return rows, keys.sign(TENANT, seal, signed_at="now")


def walked(rows: list[Row], head: AuditHead, vault: Vault = OURS) -> AuditReport:
    report = AuditReport(tenant_id=TENANT)
    walk = Walk(SealKeys(vault), report)
    walk.take_exported(head)
    for row in rows:
        walk.step(row)
    walk.finish()
    return report


def other(value: Any) -> Any:
    """Another value of a column."""
    match value:
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case None:
            return ""
        case _:
            return f"{value}x"


def change(field: str) -> Callable[[list[Row], int], None]:
    def apply(rows: list[Row], place: int) -> None:
        rows[place][field] = other(rows[place][field])

    return apply


def remove(rows: list[Row], place: int) -> None:
    rows[place]["gone"] = True


def remove_entry(rows: list[Row], place: int) -> None:
    rows[place] |= dict.fromkeys(ENTRY_FIELDS)


DEEDS = {f"change {field}": change(field) for field in (*ENTRY_FIELDS, *SEAL_FIELDS) if field != "id"} | {
    "remove": remove,
    "remove the entry": remove_entry,
}


@given(length=st.integers(1, 8), rotated=st.integers(0, 8))
def test_a_sound_chain_is_sound_whichever_of_its_keys_are_left(length: int, rotated: int) -> None:
    """The head is signed with the current key, also where all seals are under an earlier one."""
    rows, head = made(length, rotated=rotated)
    for vault in (OURS, Vault(b"k" * 32, [b"e" * 32])):
        report = walked(rows, head, vault)
        assert (report.sound, report.seals) == (True, length)


@given(length=st.integers(1, 8), rotated=st.integers(1, 8), place=st.integers(0, 7))
def test_seals_whose_key_is_gone_are_checked_all_the_same(length: int, rotated: int, place: int) -> None:
    rows, head = made(length, rotated=rotated)
    for field in (*ENTRY_FIELDS, *SEAL_FIELDS):
        if field != "id":
            changed = copy.deepcopy(rows)
            change(field)(changed, place % length)
            # Without the key the HMAC of a seal is known only from the next seal's hash.
            assert not walked(changed, head).sound, field


@given(st.data())
def test_the_first_row_that_differs_is_named_first(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 8))
    rows, head = made(length)
    places = data.draw(st.sets(st.integers(0, length - 1), min_size=1, max_size=3))
    for place in places:
        DEEDS[data.draw(st.sampled_from(sorted(DEEDS)))](rows, place)
    report = walked([row for row in rows if "gone" not in row], head)
    assert not report.sound
    assert report.findings[0].number == min(places) + 1


@given(length=st.integers(1, 8), cut=st.integers(0, 7))
def test_a_tail_that_was_cut_off_is_named(length: int, cut: int) -> None:
    rows, head = made(length)
    cut %= length
    (finding,) = walked(rows[:cut], head).findings
    assert (finding.kind, finding.number) == ("cut_off", cut + 1)


@given(length=st.integers(1, 8), start=st.integers(0, 7), claims=st.booleans())
def test_a_chain_that_goes_on_with_another_key_is_named(length: int, start: int, claims: bool) -> None:
    """From some row on everything is sealed anew by somebody else, under their key's id or ours."""
    rows, head = made(length)
    start %= length
    rows, keys, seal = copy.deepcopy(rows), SealKeys(THEIRS), START
    for row in rows:
        if row["number"] <= start:
            seal = SealKeys(OURS).seal(seal, row, sealed_at=row["sealed_at"])
            continue
        if row["number"] == start + 1:
            row["after"] = "forged"
        seal = keys.seal(seal, row, sealed_at=row["sealed_at"])
        row |= {"hash": seal.hash, "mac": seal.mac, "key_id": OURS.key_id if claims else seal.key_id}
    findings = walked(rows, head).findings
    assert min(finding.number or 0 for finding in findings) == start + 1
