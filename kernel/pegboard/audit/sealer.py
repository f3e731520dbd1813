"""The sealer: puts committed audit entries into their tenant's chain. Writers don't notice it.

Each pass looks at one snapshot and seals what is visible in it. Passes follow one another, so whatever had committed
before something else began is sealed before it: if a snapshot shows the later, it shows the earlier too. Within a pass
the database's clock at the writing decides, which is in the same order for entries of which one followed on the other.

Nothing is missed: what a snapshot doesn't show was written by a transaction whose id is at or above the snapshot's
horizon (`pg_snapshot_xmin`), and the next pass asks from there on, however late that commits.
"""

import asyncio
import time
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from pegboard.audit.chain import ENTRY_COLUMNS, START, AuditHead, Seal, SealKeys, head_of
from pegboard.background import worth_telling
from pegboard.database.pool import TRANSACTION_ERRORS
from pegboard.jobs.leadership import Leadership

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("PAUSE", "Sealer")

PAUSE = 1.0
"""Seconds between two passes: how long an entry stays unsealed, at most, while nothing is wrong."""
BATCH = 2000
"""Entries that are sealed in one transaction."""
FAR = 1000
"""Transactions that an idle sealer's horizon may lie behind."""
LOOK_AGAIN = 60.0
"""Seconds after which entries that could not be sealed are tried again."""

_POSITION = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin,
       (SELECT system_identifier FROM pg_control_system()) AS cluster,
       (SELECT horizon::text FROM kernel_audit_sealer s
        WHERE s.cluster = (SELECT system_identifier FROM pg_control_system())
          AND s.horizon <= pg_snapshot_xmin(pg_current_snapshot())) AS horizon
"""
_MOVE = """
INSERT INTO kernel_audit_sealer AS s (cluster, horizon) VALUES ($1, $2::text::xid8)
ON CONFLICT (one) DO UPDATE SET cluster = excluded.cluster, horizon = excluded.horizon
 WHERE (s.cluster, s.horizon) <> (excluded.cluster, excluded.horizon)
"""
_ALL, _SINCE = (
    f"""
    SELECT {ENTRY_COLUMNS} FROM kernel_audit_entries e
    WHERE {condition} NOT EXISTS (
        SELECT FROM kernel_audit_seals s WHERE s.tenant_id = e.tenant_id AND s.entry_id = e.id)
    ORDER BY e.tenant_id, e.occurred_at, e.id
    """  # noqa: S608  # our own columns
    for condition in ("", "e.xid >= $1::text::xid8 AND")
)
# After a long outage, or on the first day, PostgreSQL sorts for a while before it gives the first entry.
_LOOK = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0"
# Few entries are above the horizon; statistics that lag behind must not make PostgreSQL walk all seals for them.
_FEW = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
# The head, and what it should be the head of.
_HEADS = """
SELECT t.id::text AS tenant_id, to_jsonb(clock_timestamp()) #>> '{}' AS now,
       h.number, h.hash, h.mac, h.key_id, to_jsonb(h.signed_at) #>> '{}' AS signed_at, h.signature,
       s.number AS last_number, s.hash AS last_hash, s.mac AS last_mac
FROM unnest($1::text[]::uuid[]) AS t (id) LEFT JOIN kernel_audit_heads h ON h.tenant_id = t.id
LEFT JOIN LATERAL (
    SELECT number, hash, mac FROM kernel_audit_seals WHERE tenant_id = t.id ORDER BY number DESC LIMIT 1
) s ON true
ORDER BY t.id
"""
_LOCK = "SELECT FROM kernel_audit_heads WHERE tenant_id = ANY ($1::text[]::uuid[]) ORDER BY tenant_id FOR UPDATE"
_INSERT = """
INSERT INTO kernel_audit_seals (tenant_id, number, entry_id, hash, mac, key_id, sealed_at)
SELECT tenant_id::uuid, number, entry_id::uuid, hash, mac, key_id, sealed_at::timestamptz
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::text[])
  AS seal (tenant_id, number, entry_id, hash, mac, key_id, sealed_at)
"""
_MOVE_HEADS = """
INSERT INTO kernel_audit_heads (tenant_id, number, hash, mac, key_id, signed_at, signature)
SELECT tenant_id::uuid, number, decode(hash, 'hex'), decode(mac, 'hex'), key_id, signed_at::timestamptz,
       decode(signature, 'hex')
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS head (tenant_id, number, hash, mac, key_id, signed_at, signature)
ON CONFLICT (tenant_id) DO UPDATE SET number = excluded.number, hash = excluded.hash, mac = excluded.mac,
    key_id = excluded.key_id, signed_at = excluded.signed_at, signature = excluded.signature
"""
_OTHER_KEY = "SELECT tenant_id::text FROM kernel_audit_heads WHERE key_id <> $1 ORDER BY tenant_id LIMIT $2"
log = structlog.get_logger("pegboard.audit")


class Sealer:
    """Runs in each scheduler; the one that holds the lease seals. `leases` is a pool of the role *system*.

    Seals go through the platform's own pool, whose commits wait for the disk: a head that somebody exported must not be
    forgotten.
    """

    def __init__(self, runtime: "Runtime", leases: asyncpg.Pool, *, holder: str) -> None:
        self._database = runtime.database
        self._metrics = runtime.metrics
        self._keys = SealKeys(runtime.vault)
        self._leadership = Leadership(leases, "audit.seal", holder)
        self._known: dict[str, Seal] = {}
        self._damaged: set[str] = set()
        self._current = False
        self._looked: str | None = None
        self._look_again_at = 0.0

    async def run(self) -> None:
        """Seal until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    if await self._leadership.held():
                        await self.seal()
                    failures = 0
                except TRANSACTION_ERRORS as error:
                    failures += 1
                    if worth_telling(failures):
                        log.warning("audit.not_sealed", error=repr(error), failures=failures)
                await asyncio.sleep(PAUSE)
        finally:
            await self._leadership.resign()

    async def seal(self) -> int:
        """One pass: everything that has committed and is not sealed, batch by batch. Gives how many entries.

        A crash between batches loses nothing: the next pass begins at the same horizon. If another sealer is at work
        all the same, one of the two runs into the other's numbers and rolls back.
        """
        sealed = 0
        whole = True
        async with self._database.system_transaction() as reading:
            await reading.execute(_LOOK)
            position = await reading.fetchrow(_POSITION)
            horizon = self._begin(position)
            if horizon is None:
                cursor = await reading.cursor(_ALL)
            else:
                await reading.execute(_FEW)
                cursor = await reading.cursor(_SINCE, horizon)
            while rows := await cursor.fetch(BATCH):
                # To catch up may take longer than a lease lasts.
                if not await self._leadership.held():
                    whole = False
                    break
                added = await self._append(rows)
                sealed += added
                whole = whole and added == len(rows)
        if not self._current:
            await self._sign_anew()
            self._current = True
        whole = whole and horizon == position["horizon"]
        self._looked = None if whole else position["xmin"]
        if whole and (sealed or _is_behind(position)):
            async with self._database.system_transaction() as connection:
                await connection.execute(_MOVE, position["cluster"], position["xmin"])
        return sealed

    def _begin(self, position: Any) -> str | None:
        """The horizon to look from; None: at everything. While a chain is damaged its entries hold the horizon back:
        they are looked at once a minute, else every pass would look at all that came since.
        """
        now = time.monotonic()
        if self._looked is not None and now < self._look_again_at:
            return self._looked
        self._look_again_at = now + LOOK_AGAIN
        return position["horizon"]

    async def _append(self, rows: Sequence[Any]) -> int:
        """Seal entries that are in the order of their tenants. Gives how many: those of a tenant whose head is damaged
        wait.
        """
        seals: list[tuple[Any, ...]] = []
        heads: list[AuditHead] = []
        async with self._database.system_transaction() as connection:
            last, now = await self._last_seals(connection, [tenant for tenant, _ in groupby(rows, _tenant)])
            for tenant, entries in groupby(rows, _tenant):
                if tenant not in last:
                    continue
                seal = last[tenant]
                for entry in entries:
                    seal = self._keys.seal(seal, entry, sealed_at=now)
                    seals.append((tenant, seal.number, entry["id"], seal.hash, seal.mac, seal.key_id, seal.sealed_at))
                last[tenant] = seal
                heads.append(self._keys.sign(tenant, seal, signed_at=now))
            if not seals:
                return 0
            await connection.execute(_INSERT, *map(list, zip(*seals, strict=True)))
            await self._move_heads(connection, heads)
        self._known |= last
        self._metrics.audit_sealed.inc(len(seals))
        return len(seals)

    async def _sign_anew(self) -> None:
        """Sign heads that an earlier master key signed: from then on who has only that one can't make a later head."""
        while True:
            async with self._database.system_transaction() as connection:
                found = await connection.fetch(_OTHER_KEY, self._keys.key_id, BATCH + len(self._damaged))
                tenants = [row["tenant_id"] for row in found if row["tenant_id"] not in self._damaged]
                if not tenants:
                    return
                last, now = await self._last_seals(connection, tenants)
                heads = [self._keys.sign(tenant, seal, signed_at=now) for tenant, seal in last.items()]
                if heads:
                    await self._move_heads(connection, heads)

    async def _last_seals(self, connection: Any, tenants: list[str]) -> tuple[dict[str, Seal], str]:
        """Where each chain ends, for those whose head is sound; and the database's time."""
        await connection.execute(_LOCK, tenants)
        last: dict[str, Seal] = {}
        now = ""
        for row in await connection.fetch(_HEADS, tenants):
            tenant, now = row["tenant_id"], row["now"]
            seal = self._sound(row)
            if seal is not None:
                last[tenant] = seal
                self._damaged.discard(tenant)
            elif tenant not in self._damaged:
                self._damaged.add(tenant)
                log.error(
                    "audit.head_damaged",
                    tenant_id=tenant,
                    hint="the tenant's chain is not gone on with: run `pegboard audit verify`",
                )
        self._metrics.audit_damaged.set(len(self._damaged))
        return last, now

    def _sound(self, row: Any) -> Seal | None:
        """The chain's last seal, if the head is signed by us and agrees with the seals and with what we know."""
        known = self._known.get(row["tenant_id"])
        if row["number"] is None:
            return START if row["last_number"] is None and known is None else None
        seal = Seal(number=row["number"], hash=row["hash"], mac=row["mac"], key_id=row["key_id"], sealed_at="")
        if (row["last_number"], row["last_hash"], row["last_mac"]) != (seal.number, seal.hash, seal.mac):
            return None
        if known is not None and (known.number, known.mac) == (seal.number, seal.mac):
            return seal
        if known is not None and known.number >= seal.number:
            return None
        return seal if self._keys.signed(head_of(row)) else None

    @staticmethod
    async def _move_heads(connection: Any, heads: Sequence[AuditHead]) -> None:
        columns = [
            (head.tenant_id, head.number, head.hash, head.mac, head.key_id, head.signed_at, head.signature)
            for head in heads
        ]
        await connection.execute(_MOVE_HEADS, *map(list, zip(*columns, strict=True)))


def _is_behind(position: Any) -> bool:
    """Whether the horizon is worth a write though nothing was sealed: writes of ours alone would move it for ever."""
    horizon = position["horizon"]
    return horizon is None or int(position["xmin"]) - int(horizon) > FAR


def _tenant(entry: Any) -> str:
    return entry["tenant_id"]
