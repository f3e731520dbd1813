"""After the database was away no process has been heard of for a while, and all of them still run.

Who changes plugins then waits for their heartbeats: taken for dead, they would swap to what they have not prepared.
"""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID

import structlog

from pegboard.database.pool import Database
from pegboard.plugins import processes
from pegboard.plugins.processes import Process

__all__ = ("PATIENCE", "give_up_on", "still_silent")

PATIENCE = 15.0
"""Seconds: a heartbeat is due every two, and a pool may take some to connect again."""
_POLL = 0.2

log = structlog.get_logger(__name__)


async def still_silent(database: Database, *, patience: float = PATIENCE) -> list[UUID]:
    """Wait until those processes are heard of again that fell silent together, for at most `patience` seconds; gives
    those that were not. Where there are none it is one query.
    """
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        async with database.system_transaction() as connection:
            awaited = await processes.awaited_processes(connection)
        if not awaited or asyncio.get_running_loop().time() >= deadline:
            return [one.id for one in awaited]
        await asyncio.sleep(_POLL)


async def give_up_on(connection: Any, silent: Collection[UUID]) -> list[Process]:
    """Take them for dead, but for those that were heard of meanwhile; says so in the log, and gives them."""
    gone = await processes.give_up_on(connection, silent) if silent else []
    for one in gone:
        log.warning(
            "plugins.process_given_up", kind=one.kind, node=one.node, pid=one.pid, heard_at=one.heartbeat_at.isoformat()
        )
    return gone
