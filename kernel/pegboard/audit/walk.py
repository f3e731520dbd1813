"""Walking along a chain of seals: what was done to it, and to which row."""

from typing import Any, Literal

import msgspec

from pegboard.audit.chain import START, AuditHead, Seal, SealKeys, content_of, head_of

__all__ = ("MAX_FINDINGS", "AuditFinding", "AuditReport", "Walk")

MAX_FINDINGS = 20
"""A report ends there: one cause often shows in all rows after it."""

Kind = Literal["changed", "removed", "inserted", "cut_off", "rewritten", "head"]


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a trail. `number` is the place in the chain, `entry_id` the entry, where known.

    `changed`: a column of the entry or of its seal. `removed`: the entry, or it and its seal. `inserted`: past the
    sealer, or beside the chain. `cut_off`: the chain's end is missing. `rewritten`: sealed by somebody else's key, or
    other than a head says. `head`: the signed head itself.
    """

    kind: Kind
    message: str
    number: int | None = None
    entry_id: str | None = None


class AuditReport(msgspec.Struct, kw_only=True):
    """What verifying found, in the order of the chain. `seals` were checked; `waiting` entries are yet to be sealed,
    the oldest for `waiting_seconds`. `head` is that of the database. The trail is `sound` if nothing was found.
    """

    tenant_id: str
    sound: bool = True
    seals: int = 0
    waiting: int = 0
    waiting_seconds: float = 0.0
    head: AuditHead | None = None
    findings: list[AuditFinding] = []

    def add(self, kind: Kind, message: str, number: int | None = None, entry_id: str | None = None) -> None:
        """Take down a finding."""
        self.sound = False
        self.findings.append(AuditFinding(kind=kind, message=message, number=number, entry_id=entry_id))

    @property
    def full(self) -> bool:
        """Whether there is no use in looking further."""
        return len(self.findings) >= MAX_FINDINGS


class Walk:
    """A walk along one chain, from its first seal to its last. `_last` is what the next seal must follow on.

    Two things only a later seal decides. `_doubt`: a HMAC is wrong, and whether it was changed afterwards or the chain
    was made so shows in which of the two the next hash follows on. `_unknown`: seals whose master key is not configured
    are good if a later one, which is ours, goes back to them.
    """

    def __init__(self, keys: SealKeys, report: AuditReport) -> None:
        self._keys = keys
        self._report = report
        self._heads: list[tuple[str, AuditHead]] = []
        self._last = START
        self._gap = False
        self._doubt: tuple[Seal, str] | None = None
        self._unknown: tuple[int, str, str] | None = None

    def take_exported(self, head: AuditHead) -> None:
        """Compare with a head that was exported earlier, if it is ours."""
        signed = self._keys.signed(head)
        if signed:
            self._heads.append(("exported", head))
        else:
            why = "is not signed by this platform, or was changed"
            if signed is None:
                why = f"was signed under the master key {head.key_id}, which is not configured"
            self._report.add("head", f"the exported head of number {head.number} {why}", head.number)

    def take_own(self, row: Any) -> AuditHead:
        """Compare with the database's own head, if it is sound."""
        head = self._keys.published(head_of(row))
        signed = self._keys.signed(head)
        if signed:
            self._heads.append(("database's", head))
        if signed is False:
            self._report.add("head", "the database's head was changed: its signature does not fit", head.number)
        elif head.key_id != self._keys.key_id:
            self._report.add(
                "head",
                f"the database's head is signed under the master key {head.key_id}, not the current one"
                f" ({self._keys.key_id}): start the scheduler, which signs it anew, and verify again; if it stays so,"
                " the chain was rewritten with that key",
                head.number,
            )
        return head

    def step(self, row: Any) -> None:
        """Check the next seal, and the entry that it seals."""
        report, number, entry_id = self._report, row["number"], row["entry_id"]
        expected = self._last.number + 1
        if number < expected:
            report.add("inserted", f"number {number}: there is more than one row", number, entry_id)
            return
        if number > expected:
            what = f"number {expected} is" if number == expected + 1 else f"numbers {expected} to {number - 1} are"
            report.add("removed", f"{what} gone, entries and seals", expected)
        self._gap = number > expected
        report.seals += 1
        seal = Seal(number=number, hash=row["hash"], mac=row["mac"], key_id=row["key_id"], sealed_at=row["sealed_at"])
        self._last = self._judge(row, seal, entry_id)
        for whose, head in self._heads:
            if head.number == number and (head.hash, head.mac) != (self._last.hash.hex(), self._last.mac.hex()):
                report.add(
                    "rewritten",
                    f"number {number}: the {whose} head of {head.signed_at} has another seal here",
                    number,
                    entry_id,
                )

    def _judge(self, row: Any, seal: Seal, entry_id: str) -> Seal:
        """Take down what is wrong with a seal; gives what the next one should follow on."""
        report, number = self._report, seal.number
        mac = self._keys.mac(seal.hash, seal.key_id)
        if row["id"] is None:
            self._settle_doubt(None)
            report.add("removed", f"number {number}: the entry is gone, and its seal is there", number, entry_id)
            return seal
        content = content_of(row, number, seal.key_id, seal.sealed_at)
        if self._doubt is not None:
            self._settle_doubt(self._keys.hash(self._doubt[0], content) == seal.hash)
        should = self._keys.hash(self._last, content)
        follows = should == seal.hash or self._gap
        if mac is None:
            self._unknown = self._unknown or (number, entry_id, seal.key_id)
        elif mac == seal.mac and self._unknown is not None:
            if not follows:
                self._tell_unknown()
                return seal
            self._unknown = None
        if mac is None or mac == seal.mac:
            if not follows:
                report.add("changed", f"number {number}: the entry or its seal was changed", number, entry_id)
            return seal
        if self._keys.mac(should, seal.key_id) == seal.mac:
            report.add("changed", f"number {number}: the hash of its seal was changed", number, entry_id)
            return msgspec.structs.replace(seal, hash=should)
        if not follows:
            report.add("rewritten", f"number {number}: neither its hash nor its HMAC fits", number, entry_id)
            return seal
        self._doubt = (seal, entry_id)
        return msgspec.structs.replace(seal, mac=mac)

    def _settle_doubt(self, rewritten: bool | None) -> None:
        """A HMAC was wrong: say what that was, now that the next hash has followed on it or not."""
        if self._doubt is None:
            return
        seal, entry_id = self._doubt
        self._doubt = None
        if rewritten:
            self._last = seal
            self._report.add(
                "rewritten",
                f"number {seal.number}: its HMAC was not made with this platform's key, and the chain goes on from it",
                seal.number,
                entry_id,
            )
        else:
            # At the end of a chain that was made with another key, nothing follows that would tell.
            kind = "rewritten" if any(one.kind == "rewritten" for one in self._report.findings) else "changed"
            self._report.add(kind, f"number {seal.number}: the HMAC of its seal does not fit", seal.number, entry_id)

    def _tell_unknown(self) -> None:
        if self._unknown is None:
            return
        number, entry_id, key_id = self._unknown
        self._unknown = None
        self._report.add(
            "rewritten",
            f"number {number}: from here on it is sealed under the master key {key_id}, which is not configured, and no"
            " later seal of ours goes back to it: if that key was yours, put it into secrets.earlier_master_keys and"
            " verify again",
            number,
            entry_id,
        )

    def finish(self) -> None:
        """What only the end shows."""
        report, last = self._report, self._last
        self._settle_doubt(None)
        if any(head.number == last.number and head.hash == last.hash.hex() for _, head in self._heads):
            self._unknown = None
        self._tell_unknown()
        for whose, head in self._heads:
            if head.number > last.number:
                first = last.number + 1
                what = f"number {first} is" if head.number == first else f"numbers {first} to {head.number} are"
                report.add(
                    "cut_off", f"{what} missing at the end: the {whose} head of {head.signed_at} has them", first
                )
