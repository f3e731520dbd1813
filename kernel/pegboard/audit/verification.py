"""Verifying a tenant's audit trail: every entry against its seal, the seals against each other, and the heads.

Entries and seals are only ever added, so no snapshot is held: a trail of any size is read piece by piece while the
platform works. What is believed is the keys that follow from the master key; everything from the database is checked.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from pegboard.audit.chain import ENTRY_COLUMNS, AuditHead, SealKeys, head_of
from pegboard.audit.errors import TrailUnsound
from pegboard.audit.walk import AuditReport, Walk
from pegboard.database.pool import Database

__all__ = (
    "AuditProgress",
    "current_head",
    "read_seals",
    "tenants_with_trail",
    "verify_trail",
)

PIECE = 2000
"""Seals that are read at once."""

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
# A seal and its head are written together, so at any moment they agree.
_ENDS = """
SELECT (SELECT number FROM kernel_audit_heads WHERE tenant_id = $1) AS head,
       (SELECT max(number) FROM kernel_audit_seals WHERE tenant_id = $1) AS last
"""
_RANGE = "SELECT coalesce(min(number), 1), coalesce(max(number), 0) FROM kernel_audit_seals WHERE tenant_id = $1"
_NEXT_ID = "SELECT id FROM kernel_audit_entries WHERE tenant_id = $1 AND id > $2 ORDER BY id OFFSET $3 LIMIT 1"
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
ORDER BY e.id
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


class AuditProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a verification has come: `seals` of about `total`."""

    seals: int
    total: int


async def tenants_with_trail(database: Database) -> list[UUID]:
    """The ids of all tenants that have entries, seals or a head, whether or not there is such a tenant."""
    found: set[UUID] = set()
    async with database.system_reader() as connection:
        for table in ("kernel_audit_entries", "kernel_audit_seals", "kernel_audit_heads"):
            found |= {row["tenant_id"] for row in await connection.fetch(_TENANTS.format(table=table))}
    return sorted(found)


async def current_head(database: Database, keys: SealKeys, tenant_id: UUID) -> AuditHead | None:
    """The tenant's head as it stands in the database, with the key that verifies it; None where nothing is sealed.

    Raises:
        TrailUnsound: we did not sign it.
    """
    async with database.system_reader() as connection:
        row = await connection.fetchrow(_HEAD, tenant_id)
    if row is None:
        return None
    head = keys.published(head_of(row))
    if not keys.signed(head):
        raise TrailUnsound("The head of the audit trail is not signed by this platform: run `pegboard audit verify`.")
    return head


async def verify_trail(
    database: Database, keys: SealKeys, tenant_id: UUID, exported: Sequence[AuditHead] = ()
) -> AsyncIterator[AuditProgress | AuditReport]:
    """Verify a tenant's trail, also against heads that were exported earlier: progress as it goes, the report at last.

    Connections are taken piece by piece, so whoever looks at the progress slowly holds none.
    """
    report = AuditReport(tenant_id=str(tenant_id))
    walk = Walk(keys, report)
    for head in exported:
        if head.tenant_id == str(tenant_id):
            walk.take_exported(head)
    async with database.system_reader() as connection:
        head = await connection.fetchrow(_HEAD, tenant_id)
        first, total = await connection.fetchrow(_RANGE, tenant_id)
    if head is not None:
        report.head = walk.take_own(head)
    if first < 1:
        report.add("inserted", "there are seals with numbers below 1")
    reached = 0
    while reached < total and not report.full:
        upto = min(reached + PIECE, total)
        for row in await read_seals(database, tenant_id, reached, upto):
            if report.full:
                break
            walk.step(row)
        reached = upto
        yield AuditProgress(seals=reached, total=total)
    if not report.full:
        walk.finish()
        async with database.system_reader() as connection:
            ends = await connection.fetchrow(_ENDS, tenant_id)
        if ends["head"] != ends["last"] and not any(one.kind == "cut_off" for one in report.findings):
            report.add(
                "head",
                f"the database's head is of number {ends['head'] or 0}, and there are seals up to {ends['last'] or 0}",
                ends["last"],
            )
        await _look_for_unsealed(database, tenant_id, report)
    yield report


async def read_seals(database: Database, tenant_id: UUID, after: int, upto: int) -> list[Any]:
    """The seals with these numbers and the columns of their entries, which are NULL where an entry is missing."""
    async with database.system_reader() as connection:
        return await connection.fetch(_SEALS, tenant_id, after, upto)


async def _look_for_unsealed(database: Database, tenant_id: UUID, report: AuditReport) -> None:
    after: Any = _NIL
    while not report.full:
        async with database.system_reader() as connection:
            upto = await connection.fetchval(_NEXT_ID, tenant_id, after, 10 * PIECE)
            rows = await connection.fetch(_UNSEALED, tenant_id, after, upto)
        for row in rows:
            if report.full:
                break
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
