"""A process that lives counts as alive, whatever happened to one of its heartbeats."""

from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pegboard.database.pool import TransactionFailed
from pegboard.plugins import watcher
from pegboard.plugins.watcher import RegistryWatcher
from pegboard.runtime import Runtime

from tests.support.faults import BreakingPool
from tests.support.fleet import Fleet, until


@pytest.mark.parametrize(
    "error",
    [asyncpg.InternalClientError("ended just now"), TransactionFailed("nothing was committed"), ZeroDivisionError()],
    ids=lambda error: type(error).__name__,
)
async def test_the_heart_goes_on_beating_after(
    postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(watcher, "HEARTBEAT_INTERVAL", 0.05)
    fleet = Fleet(postgres_url, redis_url, tmp_path)
    await fleet.open()
    runtime = await Runtime.open(fleet.config())
    process = RegistryWatcher(runtime, "worker", poll_interval=600)
    await process.start()
    pool: Any = BreakingPool(runtime.database.system)

    async def beaten_at() -> datetime:
        return await pool.fetchval("SELECT heartbeat_at FROM kernel_processes WHERE id = $1", process.process)

    async def looked() -> bool:
        return process.looks > 0

    try:
        await until(looked)  # from here on only the heartbeat asks for connections
        pool.errors.append(error)
        runtime.database.system = pool

        async def broke() -> bool:
            return not pool.errors

        await until(broke)
        before = await beaten_at()

        async def beats_again() -> bool:
            return await beaten_at() > before

        await until(beats_again)
    finally:
        await process.stop()
        await runtime.close()
        await fleet.close()
