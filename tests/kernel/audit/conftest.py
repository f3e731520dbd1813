"""A sealer that seals when told to, and somebody who may do everything to the database."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.audit.chain import AuditHead, SealKeys
from pegboard.audit.sealer import Sealer
from pegboard.audit.verification import verify_trail
from pegboard.audit.walk import AuditReport
from pegboard.audit.writer import insert_entry
from pegboard.vault.vault import Vault
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id

from tests.support.platform import TestPlatform


@pytest.fixture
def sealer(platform: TestPlatform) -> Sealer:
    """A scheduler's sealer that has just started."""
    return new_sealer(platform)


@pytest.fixture
async def superuser(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
async def whole_again(platform: TestPlatform, superuser: Any) -> AsyncIterator[None]:
    """No test meets a trail that another one damaged."""
    yield
    tables = ("entries", "seals", "heads", "sealer")
    await tamper(superuser, [(f"DELETE FROM kernel_audit_{table}",) for table in tables])


def new_sealer(platform: TestPlatform) -> Sealer:
    return Sealer(platform.runtime, platform.runtime.database.system, holder="test")


async def add_entries(platform: TestPlatform, tenant: UUID, count: int) -> None:
    """Entries with something in every column, each in a transaction of its own."""
    ada = Principal(kind="account", tenant_id=tenant, account_id=new_id(), session_id=new_id())
    for number in range(count):
        async with platform.work(platform.system(tenant)) as work:
            await insert_entry(
                work, "hello:greeting.edit", object_type="greeting", object_id=str(number), before={"n": 1},
                after={"n": 1.5}, actor=ada,
            )  # fmt: skip


async def verified(platform: TestPlatform, tenant: UUID, *heads: AuditHead, vault: Vault | None = None) -> AuditReport:
    """What verifying says of a tenant's trail."""
    keys = SealKeys(vault or platform.runtime.vault)
    steps = verify_trail(platform.runtime.database, keys, tenant, heads)
    (report,) = [step async for step in steps if isinstance(step, AuditReport)]
    return report


async def tamper(superuser: Any, statements: Sequence[tuple[Any, ...]]) -> None:
    """Do what the triggers forbid, as somebody who can turn them off. Statements with their arguments."""
    tables = ("kernel_audit_entries", "kernel_audit_seals", "kernel_audit_heads")
    async with superuser.transaction():
        for table in tables:
            await superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for sql, *arguments in statements:
            await superuser.execute(sql, *arguments)
        for table in tables:
            await superuser.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
            for (name,) in await superuser.fetch(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal", table
            ):
                await superuser.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
