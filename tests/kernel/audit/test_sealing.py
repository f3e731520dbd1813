"""What has committed is sealed, once, in its tenant's chain, in the order of commits; nothing is missed."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.audit.chain import SealKeys
from pegboard.audit.sealer import Sealer
from pegboard.database.urls import master_key_bytes
from pegboard.jobs.leadership import Leadership
from pegboard.vault.vault import Vault
from pegboard_sdk.ids import new_id
from structlog.testing import capture_logs

from tests.kernel.audit.conftest import add_entries, new_sealer, tamper, verified
from tests.support.fleet import until
from tests.support.platform import TestPlatform

INSERT = """
INSERT INTO kernel_audit_entries (id, tenant_id, actor_kind, action, object_type, request_id)
VALUES ($1, $2, 'system', $3, 'greeting', 'r')
"""


async def chain(superuser: Any, tenant: UUID) -> list[str]:
    """The actions of a tenant's sealed entries, in the order of the chain, whose numbers have no gap."""
    rows = await superuser.fetch(
        "SELECT s.number, e.action FROM kernel_audit_seals s JOIN kernel_audit_entries e ON e.id = s.entry_id"
        " WHERE s.tenant_id = $1 ORDER BY number",
        tenant,
    )
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["action"] for row in rows]


async def test_each_tenant_has_a_chain_of_its_own(platform: TestPlatform, sealer: Sealer) -> None:
    one, other = await platform.tenant(), await platform.tenant()
    for count in (3, 2):
        await add_entries(platform, one, count)
        await add_entries(platform, other, 1)
        await sealer.seal()
    assert await sealer.seal() == 0
    first, second = await verified(platform, one), await verified(platform, other)
    assert (first.sound, first.waiting, first.findings) == (True, 0, [])
    assert (first.seals, second.seals) == (5, 2)
    assert first.head is not None
    assert first.head.number == 5


async def test_the_scheduler_seals_by_itself(platform: TestPlatform, tenant: UUID, sealer: Sealer) -> None:
    """One at a time: a second one stands by, and takes over when the first has gone."""
    others = new_sealer(platform)
    others._leadership = Leadership(platform.runtime.database.system, "audit.seal", "another")

    async def sealed(count: int) -> bool:
        return (await verified(platform, tenant)).seals == count

    first = asyncio.create_task(sealer.run())
    await add_entries(platform, tenant, 2)
    await until(lambda: sealed(2))
    assert not await others._leadership.held()
    first.cancel()
    await asyncio.wait((first,))
    second = asyncio.create_task(others.run())
    others._leadership._ask_at = 0.0
    await add_entries(platform, tenant, 1)
    await until(lambda: sealed(3))
    second.cancel()
    await asyncio.wait((second,))


async def test_the_order_is_that_of_commits(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealer: Sealer
) -> None:
    """A transaction that began first and commits last comes last, and holds nobody else up."""
    other = await asyncpg.connect(platform.runtime.database.urls.system)
    try:
        slow = other.transaction()
        await slow.start()
        await other.execute(INSERT, new_id(), tenant, "slow:entry.add")
        await superuser.execute(INSERT, new_id(), tenant, "quick:entry.add")
        assert await sealer.seal() >= 1
        assert await chain(superuser, tenant) == ["quick:entry.add"]
        await superuser.execute(INSERT, new_id(), tenant, "next:entry.add")
        await sealer.seal()
        await slow.commit()
        await superuser.execute(INSERT, new_id(), tenant, "last:entry.add")
        await sealer.seal()
    finally:
        await other.close()
    assert await chain(superuser, tenant) == ["quick:entry.add", "next:entry.add", "slow:entry.add", "last:entry.add"]
    assert (await verified(platform, tenant)).sound


async def test_what_was_rolled_back_leaves_no_gap(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealer: Sealer
) -> None:
    await superuser.execute(INSERT, new_id(), tenant, "a:b.one")
    undone = superuser.transaction()
    await undone.start()
    await superuser.execute(INSERT, new_id(), tenant, "a:b.two")
    await undone.rollback()
    await superuser.execute(INSERT, new_id(), tenant, "a:b.three")
    await sealer.seal()
    assert await chain(superuser, tenant) == ["a:b.one", "a:b.three"]


async def test_writers_and_sealers_at_once(platform: TestPlatform, tenant: UUID, superuser: Any) -> None:
    """Two sealers may run for a moment, when a lease changes hands: nothing is sealed twice or left out."""
    writing = True

    async def write(number: int) -> None:
        connection = await asyncpg.connect(platform.runtime.database.urls.system)
        try:
            for one in range(30):
                async with connection.transaction():
                    await connection.execute(INSERT, new_id(), tenant, f"writer{number}:entry.n{one}")
                    await connection.fetchval("SELECT pg_sleep(random() * 0.005)")
        finally:
            await connection.close()

    async def seal() -> None:
        sealer = new_sealer(platform)
        while writing:
            try:
                await sealer.seal()
            except asyncpg.UniqueViolationError:
                continue

    sealers = [asyncio.create_task(seal()) for _ in range(2)]
    await asyncio.gather(*map(write, range(4)))
    writing = False
    await asyncio.gather(*sealers)
    await new_sealer(platform).seal()
    sealed = await chain(superuser, tenant)
    assert sorted(sealed) == sorted(f"writer{number}:entry.n{one}" for number in range(4) for one in range(30))
    for number in range(4):
        own = [action for action in sealed if action.startswith(f"writer{number}:")]
        assert own == [f"writer{number}:entry.n{one}" for one in range(30)]
    assert (await verified(platform, tenant)).sound


async def test_after_an_outage_all_is_caught_up_with(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegboard.audit.sealer.BATCH", 7)
    await superuser.executemany(INSERT, [(new_id(), tenant, f"a:b.n{number}") for number in range(50)])
    waiting = await verified(platform, tenant)
    assert (waiting.sound, waiting.waiting, waiting.seals) == (True, 50, 0)
    assert await sealer.seal() >= 50
    assert await chain(superuser, tenant) == [f"a:b.n{number}" for number in range(50)]


async def test_a_crash_amid_a_pass_loses_nothing(
    platform: TestPlatform, tenant: UUID, superuser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegboard.audit.sealer.BATCH", 5)
    await new_sealer(platform).seal()
    await superuser.executemany(INSERT, [(new_id(), tenant, f"a:b.n{number}") for number in range(12)])
    crashing = new_sealer(platform)
    append, batches = crashing._append, 0

    async def append_once(rows: Any) -> int:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise asyncio.CancelledError
        return await append(rows)

    monkeypatch.setattr(crashing, "_append", append_once)
    with pytest.raises(asyncio.CancelledError):
        await crashing.seal()
    assert len(await chain(superuser, tenant)) == 5
    await new_sealer(platform).seal()
    assert await chain(superuser, tenant) == [f"a:b.n{number}" for number in range(12)]


@pytest.mark.parametrize("where", ["another cluster", "a horizon ahead of time"])
async def test_a_restored_dump_is_gone_on_with(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealer: Sealer, where: str
) -> None:
    """Transaction ids of entries and of the horizon are another cluster's: they mean nothing."""
    await superuser.execute(INSERT, new_id(), tenant, "a:b.before")
    await sealer.seal()
    await superuser.execute(INSERT, new_id(), tenant, "a:b.unsealed")
    await tamper(
        superuser,
        [
            (
                "UPDATE kernel_audit_entries SET xid = '1' WHERE tenant_id = $1 AND action = 'a:b.unsealed'",
                tenant,
            ),
            (
                "UPDATE kernel_audit_sealer SET cluster = cluster + 1"
                if where == "another cluster"
                else "UPDATE kernel_audit_sealer SET horizon = '9223372036854775807'",
            ),
        ],
    )
    await new_sealer(platform).seal()
    await superuser.execute(INSERT, new_id(), tenant, "a:b.after")
    await new_sealer(platform).seal()
    assert await chain(superuser, tenant) == ["a:b.before", "a:b.unsealed", "a:b.after"]
    assert (await verified(platform, tenant)).sound


async def test_a_damaged_head_is_not_gone_on_with_and_others_are(
    platform: TestPlatform, tenant: UUID, superuser: Any
) -> None:
    sound = await platform.tenant()
    await add_entries(platform, tenant, 2)
    await new_sealer(platform).seal()
    await tamper(superuser, [("UPDATE kernel_audit_heads SET signature = $2 WHERE tenant_id = $1", tenant, bytes(64))])
    await add_entries(platform, tenant, 1)
    await add_entries(platform, sound, 1)
    sealer = new_sealer(platform)
    with capture_logs() as lines:
        await sealer.seal()
        await sealer.seal()
    assert [line["tenant_id"] for line in lines if line["event"] == "audit.head_damaged"] == [str(tenant)]
    assert (await verified(platform, sound)).sound
    report = await verified(platform, tenant)
    assert [finding.kind for finding in report.findings] == ["head"]
    assert report.waiting == 1


async def test_entries_that_wait_are_sealed_once_the_head_is_whole_again(
    platform: TestPlatform, tenant: UUID, superuser: Any
) -> None:
    """They don't have each pass look at all that came since, and the next ones of others are sealed meanwhile."""
    other = await platform.tenant()
    await add_entries(platform, tenant, 2)
    await new_sealer(platform).seal()
    head = await superuser.fetchval("SELECT signature FROM kernel_audit_heads WHERE tenant_id = $1", tenant)
    await tamper(superuser, [("UPDATE kernel_audit_heads SET signature = $2 WHERE tenant_id = $1", tenant, bytes(64))])
    await add_entries(platform, tenant, 1)
    sealer = new_sealer(platform)
    horizon = await superuser.fetchval("SELECT horizon::text FROM kernel_audit_sealer")
    assert await sealer.seal() == 0
    await add_entries(platform, other, 1)
    assert await sealer.seal() == 1
    assert sealer._looked is not None
    assert await superuser.fetchval("SELECT horizon::text FROM kernel_audit_sealer") == horizon
    await tamper(superuser, [("UPDATE kernel_audit_heads SET signature = $2 WHERE tenant_id = $1", tenant, head)])
    sealer._look_again_at = 0.0
    assert await sealer.seal() == 1
    assert await superuser.fetchval("SELECT horizon::text FROM kernel_audit_sealer") != horizon
    assert (await verified(platform, tenant)).sound


async def test_a_running_sealer_notices_that_the_tail_was_cut_off(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealer: Sealer
) -> None:
    """With the head of that time put back, the database alone would not show it."""
    await add_entries(platform, tenant, 2)
    await sealer.seal()
    head = await superuser.fetchrow("SELECT * FROM kernel_audit_heads WHERE tenant_id = $1", tenant)
    await add_entries(platform, tenant, 2)
    await sealer.seal()
    await tamper(
        superuser,
        [
            ("DELETE FROM kernel_audit_entries e USING kernel_audit_seals s WHERE e.id = s.entry_id AND s.number > $2"
             " AND s.tenant_id = $1", tenant, head["number"]),
            ("DELETE FROM kernel_audit_seals WHERE tenant_id = $1 AND number > $2", tenant, head["number"]),
            ("UPDATE kernel_audit_heads SET number = $2, hash = $3, mac = $4, signed_at = $5, signature = $6"
             " WHERE tenant_id = $1", tenant, *(head[name] for name in ("number", "hash", "mac", "signed_at",
                                                                       "signature"))),
        ],
    )  # fmt: skip
    assert (await verified(platform, tenant)).sound
    await add_entries(platform, tenant, 1)
    with capture_logs() as lines:
        await sealer.seal()
    assert [line["tenant_id"] for line in lines if line["event"] == "audit.head_damaged"] == [str(tenant)]


async def test_a_new_master_key_seals_from_then_on_and_signs_the_heads_anew(platform: TestPlatform) -> None:
    busy, idle = await platform.tenant(), await platform.tenant()
    for tenant in (busy, idle):
        await add_entries(platform, tenant, 2)
    await new_sealer(platform).seal()
    rotated = Vault(b"n" * 32, [master_key_bytes(platform.config)])
    await add_entries(platform, busy, 2)
    for tenant in (busy, idle):
        assert [finding.kind for finding in (await verified(platform, tenant, vault=rotated)).findings] == ["head"]
    sealer = new_sealer(platform)
    sealer._keys = SealKeys(rotated)
    await sealer.seal()
    # The earlier key may go: what it sealed is vouched for by what came later, or by the head.
    for vault in (rotated, Vault(b"n" * 32)):
        for tenant, seals in ((busy, 4), (idle, 2)):
            report = await verified(platform, tenant, vault=vault)
            assert (report.sound, report.seals, report.waiting) == (True, seals, 0)
    report = await verified(platform, idle, vault=Vault(b"x" * 32))
    assert [(finding.kind, finding.number) for finding in report.findings] == [("head", 2), ("rewritten", 1)]
    # Other tests go on with the first key.
    sealer = new_sealer(platform)
    sealer._keys = SealKeys(Vault(master_key_bytes(platform.config), [b"n" * 32]))
    await sealer.seal()
