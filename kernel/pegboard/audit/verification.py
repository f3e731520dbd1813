"""Verifying a tenant's audit trail: every entry against its seal, the seals against each other, and the heads.

Entries and seals are only ever added, so no snapshot is held: a trail of any size is read piece by piece while the
platform works. What is believed is the keys that follow from the master key; everything from the database is checked.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec

from pegboard.audit.chain import ENTRY_COLUMNS, START, AuditHead, Seal, SealKeys, content_of
from pegboard.audit.sealer import head_of

__all__ = ("MAX_FINDINGS", "AuditFinding", "AuditProgress", "AuditReport", "tenants_with_trail", "verify_trail")

MAX_FINDINGS = 20
"""A report ends there: one cause often shows in all rows after it."""
PIECE = 2000
"""Seals that are read at once."""

Kind = Literal["changed", "removed", "inserted", "cut_off", "rewritten", "head"]

_SEALS = f"""
SELECT s.number, s.entry_id::text, s.hash, s.mac, s.key_id, to_jsonb(s.sealed_at) #>> '{{}}' AS sealed_at,
       {ENTRY_COLUMNS}
FROM kernel_audit_seals s LEFT JOIN kernel_audit_entries e ON e.tenant_id = s.tenant_id AND e.id = s.entry_id
WHERE s.tenant_id = $1 AND s.number > $2 AND s.number <= $3 ORDER BY s.number, s.ctid
"""  # noqa: S608  # our own columns
_HEAD = """
SELECT tenant_id::text, number, hash, mac, key_id, to_jsonb(signed_at) #>> '{}' AS signed_at, signature
FROM kernel_audit_heads WHERE tenant_id = $1
"""
_LAST = "SELECT max(number) FROM kernel_audit_seals WHERE tenant_id = $1"
# A seal and its head are written together, so at any moment they agree.
_ENDS = """
SELECT (SELECT number FROM kernel_audit_heads WHERE tenant_id = $1) AS head,
       (SELECT max(number) FROM kernel_audit_seals WHERE tenant_id = $1) AS last
"""
_FIRST = "SELECT min(number) FROM kernel_audit_seals WHERE tenant_id = $1"
_NEXT_IDS = "SELECT id FROM kernel_audit_entries WHERE tenant_id = $1 AND id > $2 ORDER BY id OFFSET $3 LIMIT 1"
# The sealer has been past an entry whose transaction is below its horizon, and none above the snapshot's end exists.
_UNSEALED = """
SELECT e.id::text, to_jsonb(e.occurred_at) #>> '{}' AS occurred_at, e.action,
       coalesce((SELECT e.xid < s.horizon OR e.xid >= pg_snapshot_xmax(pg_current_snapshot())
                 FROM kernel_audit_sealer s
                 WHERE s.cluster = (SELECT system_identifier FROM pg_control_system())
                   AND s.horizon <= pg_snapshot_xmin(pg_current_snapshot())), false) AS passed,
       extract(epoch FROM clock_timestamp() - e.occurred_at)::float8 AS age
FROM kernel_audit_entries e
WHERE e.tenant_id = $1 AND e.id > $2 AND ($3::uuid IS NULL OR e.id <= $3)
  AND NOT EXISTS (SELECT FROM kernel_audit_seals s WHERE s.tenant_id = e.tenant_id AND s.entry_id = e.id)
ORDER BY e.id LIMIT $4
"""
# Each tenant is looked up in the index after the one before: the tables may be large and the tenants few.
_TENANTS = """
WITH RECURSIVE found AS (
    (SELECT tenant_id FROM {table} ORDER BY tenant_id LIMIT 1)
  UNION ALL
    SELECT (SELECT t.tenant_id FROM {table} t WHERE t.tenant_id > found.tenant_id ORDER BY t.tenant_id LIMIT 1)
    FROM found WHERE found.tenant_id IS NOT NULL
)
SELECT tenant_id FROM found WHERE tenant_id IS NOT NULL
"""
_NIL = "00000000-0000-0000-0000-000000000000"


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


class AuditProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a verification has come: `seals` of about `total`."""

    seals: int
    total: int


async def tenants_with_trail(connection: Any) -> list[Any]:
    """The ids of all tenants that have entries, seals or a head, whether or not there is such a tenant."""
    found: set[Any] = set()
    for table in ("kernel_audit_entries", "kernel_audit_seals", "kernel_audit_heads"):
        found |= {row["tenant_id"] for row in await connection.fetch(_TENANTS.format(table=table))}
    return sorted(found)


async def verify_trail(
    connection: Any, keys: SealKeys, tenant_id: Any, exported: Sequence[AuditHead] = ()
) -> AsyncIterator[AuditProgress | AuditReport]:
    """Verify a tenant's trail, also against heads that were exported earlier: progress as it goes, the report at last.

    `connection` sees the tenant's rows: *system*'s, or the application's as that tenant; no transaction is needed.
    """
    report = AuditReport(tenant_id=str(tenant_id))
    walk = _Walk(keys, report)
    for head in exported:
        if head.tenant_id == str(tenant_id):
            walk.take_exported(head)
    if (row := await connection.fetchrow(_HEAD, tenant_id)) is not None:
        report.head = walk.take_own(row)
    total = await connection.fetchval(_LAST, tenant_id) or 0
    if (await connection.fetchval(_FIRST, tenant_id) or 1) < 1:
        report.add("inserted", "there are seals with numbers below 1")
    reached = 0
    while reached < total and not report.full:
        upto = min(reached + PIECE, total)
        for row in await connection.fetch(_SEALS, tenant_id, reached, upto):
            if report.full:
                break
            walk.step(row)
        reached = upto
        yield AuditProgress(seals=reached, total=total)
    if not report.full:
        walk.finish()
        ends = await connection.fetchrow(_ENDS, tenant_id)
        if ends["head"] != ends["last"] and not any(one.kind == "cut_off" for one in report.findings):
            report.add(
                "head",
                f"the database's head is of number {ends['head'] or 0}, and there are seals up to {ends['last'] or 0}",
                ends["last"],
            )
        await _look_for_unsealed(connection, tenant_id, report)
    yield report


async def _look_for_unsealed(connection: Any, tenant_id: Any, report: AuditReport) -> None:
    after: Any = _NIL
    while not report.full:
        upto = await connection.fetchval(_NEXT_IDS, tenant_id, after, 10 * PIECE)
        for row in await connection.fetch(_UNSEALED, tenant_id, after, upto, PIECE):
            if row["passed"]:
                report.add(
                    "inserted",
                    f"the entry of {row['occurred_at']} ({row['action']}) was not there when the sealer came by",
                    entry_id=row["id"],
                )
            else:
                report.waiting += 1
                report.waiting_seconds = max(report.waiting_seconds, row["age"])
        if upto is None:
            return
        after = upto


class _Walk:
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
