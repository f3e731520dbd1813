"""The sealed trail as lines of JSON, which somebody without our key can verify.

    {"kind": "export", …, "previous_hash": …, "previous_mac": …}     what the first entry follows on
    {"kind": "entry", "number": …, "entry": {…}, "hash": …, …}       each, in the order of the chain
    {"kind": "head", "number": …, "hash": …, "signature": …}         the last entry's seal, signed

An entry's columns are strings or null, as they were sealed: `before` and `after` are JSON in a string, since their text
counts. docs/audit.md has a program that verifies such a file.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from pegboard.audit.chain import ENTRY_FIELDS, START, Seal, SealKeys, content_of
from pegboard.audit.errors import TrailUnsound
from pegboard.audit.search import first_id_at
from pegboard.audit.verification import PIECE, read_seals
from pegboard.database.pool import Database

__all__ = ("FORMAT", "export_trail")

FORMAT = "pegboard audit export 1"

_CLOCK_SKEW = 60
_ALL = """
SELECT min(number) AS first, max(number) AS last, to_jsonb(clock_timestamp()) #>> '{}' AS now
FROM kernel_audit_seals WHERE tenant_id = $1
"""
_PERIOD = """
SELECT min(s.number) AS first, max(s.number) AS last, to_jsonb(clock_timestamp()) #>> '{}' AS now
FROM kernel_audit_seals s JOIN kernel_audit_entries e ON e.tenant_id = s.tenant_id AND e.id = s.entry_id
WHERE s.tenant_id = $1 AND ($2::timestamptz IS NULL OR (e.occurred_at >= $2 AND e.id >= $3))
  AND ($4::timestamptz IS NULL OR (e.occurred_at < $4 AND e.id < $5))
"""
_SEAL = "SELECT number, hash, mac, key_id, '' AS sealed_at FROM kernel_audit_seals WHERE tenant_id = $1 AND number = $2"


async def export_trail(
    database: Database, keys: SealKeys, tenant_id: UUID, *, since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[bytes]:
    """A tenant's sealed entries from the first to the last of a period (`since` inclusive, `until` not), piece by
    piece: whole lines, each piece many.

    A chain has no gaps, so an entry between the two is in it also where its own time is just outside of the period,
    as that of a slow transaction may be. Each seal is checked on the way.

    Raises:
        TrailUnsound: an entry or a seal was tampered with; the lines so far end without a head.
    """
    async with database.system_reader() as connection:
        if since is None and until is None:
            bounds = await connection.fetchrow(_ALL, tenant_id)
        else:
            first_id = None if since is None else first_id_at(since.timestamp() - _CLOCK_SKEW)
            end_id = None if until is None else first_id_at(until.timestamp() + _CLOCK_SKEW)
            bounds = await connection.fetchrow(_PERIOD, tenant_id, since, first_id, until, end_id)
        before = await connection.fetchrow(_SEAL, tenant_id, (bounds["first"] or 1) - 1)
    last = START
    if before is not None:
        last = Seal(
            number=before["number"], hash=before["hash"], mac=before["mac"], key_id=before["key_id"], sealed_at=""
        )
    yield _line(
        kind="export",
        format=FORMAT,
        tenant_id=tenant_id,
        since=since,
        until=until,
        exported_at=bounds["now"],
        first=bounds["first"],
        last=bounds["last"],
        previous_hash=last.hash.hex(),
        previous_mac=last.mac.hex(),
    )
    if bounds["first"] is None:
        return
    while last.number < bounds["last"]:
        lines: list[bytes] = []
        for row in await read_seals(database, tenant_id, last.number, min(last.number + PIECE, bounds["last"])):
            last = _checked(keys, last, row)
            entry = {name: row[name] for name in ENTRY_FIELDS}
            lines.append(
                _line(
                    kind="entry",
                    number=last.number,
                    key_id=last.key_id,
                    sealed_at=last.sealed_at,
                    entry=entry,
                    hash=last.hash.hex(),
                    mac=last.mac.hex(),
                )
            )
        if not lines:
            raise _unsound(last.number + 1)
        yield b"".join(lines)
    if keys.mac(last.hash, last.key_id) is None:
        raise TrailUnsound(
            f"Number {last.number} is sealed under the master key {last.key_id}, which is not configured: put it into"
            " secrets.earlier_master_keys."
        )
    yield _line(kind="head", **msgspec.structs.asdict(keys.sign(str(tenant_id), last, signed_at=bounds["now"])))


def _checked(keys: SealKeys, before: Seal, row: Any) -> Seal:
    number = before.number + 1
    if row["number"] != number or row["id"] is None:
        raise _unsound(number)
    seal = Seal(number=number, hash=row["hash"], mac=row["mac"], key_id=row["key_id"], sealed_at=row["sealed_at"])
    if keys.hash(before, content_of(row, number, seal.key_id, seal.sealed_at)) != seal.hash:
        raise _unsound(number)
    if keys.mac(seal.hash, seal.key_id) not in (None, seal.mac):
        raise _unsound(number)
    return seal


def _unsound(number: int) -> TrailUnsound:
    return TrailUnsound(
        f"The audit trail was tampered with at number {number}, so it is not exported further: run `pegboard audit"
        " verify`."
    )


def _line(**fields: Any) -> bytes:
    return msgspec.json.encode(fields) + b"\n"
