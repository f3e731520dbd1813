"""What is used without a transaction is on record, and what is used often is counted."""

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from pegboard.capabilities.trail import WINDOW, Trail, Use
from pegboard.database.pool import Database
from pegboard_sdk import Principal
from pegboard_sdk.services import AuditLog
from structlog.testing import capture_logs

from tests.support.faults import BreakingPool
from tests.support.platform import TestPlatform


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def use(principal: Principal, what: str = "Tills", request_id: str = "r") -> Use:
    return Use(
        principal=principal,
        request_id=request_id,
        action="kernel:service.use",
        object_type="service",
        object_id=what,
        detail={"plugin": "shop"},
    )


async def found(platform: TestPlatform, tenant: UUID) -> list[tuple[str | None, int]]:
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="kernel:service.use", limit=100)
    return sorted((entry.object_id, (entry.after or {}).get("uses", 0)) for entry in page.items)


async def test_the_first_use_is_written_and_those_of_the_next_minute_are_counted(platform: TestPlatform, tenant: UUID):
    clock = Clock()
    trail = Trail(platform.runtime.database, clock=clock)
    principal = platform.system(tenant)
    for number in range(4):
        trail.note(use(principal, request_id=str(number)))
    trail.note(use(principal, "Escrow"))
    await trail.written()
    assert await found(platform, tenant) == [("Escrow", 0), ("Tills", 0)]
    clock.now += WINDOW
    trail.note(use(principal))
    await trail.written()
    assert await found(platform, tenant) == [("Escrow", 0), ("Tills", 0), ("Tills", 0), ("Tills", 3)]
    trail.note(use(principal))
    await trail.close()
    assert (await found(platform, tenant))[-1] == ("Tills", 3)
    assert ("Tills", 1) in await found(platform, tenant)


async def test_what_is_not_counted_is_an_entry_each_time(platform: TestPlatform, tenant: UUID):
    trail = Trail(platform.runtime.database)
    for _ in range(3):
        trail.note(use(platform.system(tenant)), counted=False)
    await trail.close()
    assert await found(platform, tenant) == [("Tills", 0)] * 3


async def test_tenants_are_kept_apart(platform: TestPlatform, tenant: UUID):
    other = await platform.tenant()
    trail = Trail(platform.runtime.database)
    trail.note(use(platform.system(tenant)))
    trail.note(use(platform.system(other)))
    await trail.close()
    assert await found(platform, tenant) == await found(platform, other) == [("Tills", 0)]


async def test_an_outage_is_told_to_the_log_and_to_nobody_else(platform: TestPlatform, tenant: UUID):
    database = platform.runtime.database
    pool: Any = BreakingPool(database.app)
    broken = Database(pool, database.system, database.urls, acquire_timeout=1)
    pool.errors = [asyncpg.CannotConnectNowError("away")]
    trail = Trail(broken)
    with capture_logs() as logs:
        trail.note(use(platform.system(tenant)))
        await trail.written()
    assert [entry["object"] for entry in logs if entry["event"] == "audit.not_written"] == ["Tills"]
    trail.note(use(platform.system(tenant), "Escrow"))
    await trail.close()
    assert await found(platform, tenant) == [("Escrow", 0)]


@pytest.mark.parametrize(
    "bad",
    [
        lambda one: msgspec.structs.replace(one, object_id="a\x00b"),
        lambda one: msgspec.structs.replace(one, object_id="\ud800"),
        lambda one: msgspec.structs.replace(one, object_id=random.Random(1).randbytes(100_000).hex()),
        lambda one: msgspec.structs.replace(one, detail={"plugin": "shop", "note": "a\x00b"}),
        lambda one: msgspec.structs.replace(one, detail={"plugin": "shop", "note": object()}),
        lambda one: msgspec.structs.replace(one, action=""),
        lambda one: msgspec.structs.replace(one, outcome="maybe"),
    ],
)
async def test_one_that_can_not_be_written_takes_no_other_along(
    platform: TestPlatform, tenant: UUID, bad: Callable[[Use], Use]
):
    trail = Trail(platform.runtime.database)
    uses = [use(platform.system(tenant), f"S{number:02}") for number in range(9)]
    with capture_logs() as logs:
        for number, one in enumerate(uses):
            trail.note(bad(one) if number == 4 else one, counted=False)
        await trail.close()
    assert [what for what, _ in await found(platform, tenant)] == [f"S{n:02}" for n in range(9) if n != 4]
    lost = [entry for entry in logs if entry["event"] == "audit.not_written"]
    assert [entry["plugin"] for entry in lost] == ["shop"]
    assert msgspec.json.encode(lost)  # what is wrong with it does not keep it from the log


async def test_uses_that_come_while_others_are_written_are_written_too(platform: TestPlatform, tenant: UUID):
    trail = Trail(platform.runtime.database)
    for number in range(20):
        trail.note(use(platform.system(tenant), f"S{number:02}"))
        await found(platform, tenant)
    await trail.close()
    assert len(await found(platform, tenant)) == 20
