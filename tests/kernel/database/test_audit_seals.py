"""Seals on each claimed major: an entry's text is the same on all of them, so an upgrade leaves a trail sound."""

import hashlib

import asyncpg
from pegboard.audit.chain import ENTRY_COLUMNS, SealKeys, content_of
from pegboard.audit.sealer import Sealer
from pegboard.audit.verification import tenants_with_trail, verify_trail
from pegboard.audit.walk import AuditReport
from pegboard.database.migrate import migrate
from pegboard.runtime import Runtime

from tests.kernel.database.conftest import make_config

ROW = """
INSERT INTO kernel_audit_entries
    (id, tenant_id, occurred_at, actor_kind, actor_id, action, object_type, object_id, before, after, request_id, xid)
VALUES
    ('01a20d65-8ff0-7233-9e51-88a32217d11c', '00000000-0000-7000-8000-000000000001', '2026-11-24 12:00:00.120000+00',
     'account', '01a20d65-8ff0-7233-9e51-889fffb89006', 'hello:greeting.edit', 'greeting', E'line\\nbreak',
     '{"b": 1.50, "a": "ü\\u0001\\"", "long": 12345678901234567890.10, "e": 1e-7}', '[null, true, {"z": [], "y": {}}]',
     'r', '42')
"""
HASH = "b7473f33936678b70aaf2f4cc209727064c10328c95c6a4979087cdb815ec299"  # pragma: allowlist secret


async def test_an_entry_is_sealed_and_verified(url: str) -> None:
    await migrate(url, ())
    runtime = await Runtime.open(make_config(url), pool_size=2)
    try:
        superuser = await asyncpg.connect(url)
        await superuser.execute(ROW)
        await superuser.close()
        async with runtime.database.system_reader() as connection:
            row = await connection.fetchrow(f"SELECT {ENTRY_COLUMNS} FROM kernel_audit_entries e")
        assert hashlib.sha256(content_of(row, 1, "key", "now")).hexdigest() == HASH
        sealer = Sealer(runtime, runtime.database.system, holder="test")
        assert [await sealer.seal(), await sealer.seal()] == [1, 0]
        (tenant,) = await tenants_with_trail(runtime.database)
        steps = [step async for step in verify_trail(runtime.database, SealKeys(runtime.vault), tenant)]
        report = steps[-1]
        assert isinstance(report, AuditReport)
        assert (report.sound, report.seals, report.waiting) == (True, 1, 0)
    finally:
        await runtime.close()
