"""Schedules: when they fire, and firing them."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import msgspec
import structlog
from cronsim import CronSim, CronSimError
from pegboard_sdk.ids import new_id
from pegboard_sdk.jobs import Schedule

from pegboard.plugins.registry import Registry

__all__ = ("fire_due", "fires_after", "next_due", "sync_schedules")

log = structlog.get_logger("pegboard.jobs")

# A row whose schedule no enabled plugin has is left alone: it neither fires nor is forgotten.
_SYNC = """
INSERT INTO kernel_schedules AS known (name, plugin, cron, timezone, next_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE
   SET plugin = excluded.plugin, cron = excluded.cron, timezone = excluded.timezone, next_at = excluded.next_at,
       updated_at = now()
 WHERE (known.cron, known.timezone) IS DISTINCT FROM (excluded.cron, excluded.timezone)
"""

_DUE = "SELECT name, next_at FROM kernel_schedules WHERE name = ANY($1) AND next_at <= $2 ORDER BY next_at"

_NEXT_DUE = "SELECT min(next_at) FROM kernel_schedules WHERE name = ANY($1)"

# Whoever moves the row from this time on, fires this time; a second scheduler finds it moved.
_MOVE = "UPDATE kernel_schedules SET next_at = $3, last_at = $2, updated_at = now() WHERE name = $1 AND next_at = $2"

_ENQUEUE = """
INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts, dedupe_key)
SELECT id, tenant_id, $3, $4, $5, $6, $7 FROM unnest($1::uuid[], $2::uuid[]) AS enqueued (id, tenant_id)
ON CONFLICT (tenant_id, name, dedupe_key) WHERE dedupe_key IS NOT NULL AND finished_at IS NULL DO NOTHING
"""


def fires_after(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` (aware) at which `cron` matches in `timezone`; in UTC.

    As Debian's cron does it, a time of day that a switch to summer time skips fires right after the switch, and one
    that the switch back repeats fires once.

    Raises:
        ValueError: the expression or the time zone is not valid, or never matches.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{timezone!r} is not an IANA time zone") from error
    if len(cron.split()) != 5:
        raise ValueError(f"{cron!r} is not a cron expression of five fields")
    try:
        found = next(CronSim(cron, after.astimezone(zone)))
    except CronSimError as error:
        raise ValueError(f"{cron!r} is not a cron expression: {error}") from error
    except StopIteration:
        raise ValueError(f"{cron!r} never matches") from None
    return found.astimezone(ZoneInfo("UTC"))


async def sync_schedules(pool: asyncpg.Pool, registry: Registry, now: datetime) -> list[str]:
    """Make a row of each new schedule, and move those whose time was changed. Gives the names of the valid ones."""
    valid: list[str] = []
    for schedule in registry.schedules.values():
        try:
            next_at = fires_after(schedule.cron, schedule.timezone, now)
        except ValueError as error:
            log.error("schedule.invalid", schedule=schedule.name, error=str(error))
            continue
        plugin = registry.owners[schedule.name]
        await pool.execute(_SYNC, schedule.name, plugin, schedule.cron, schedule.timezone, next_at)
        valid.append(schedule.name)
    return valid


async def next_due(pool: asyncpg.Pool, names: Iterable[str]) -> datetime | None:
    """When the next of the schedules fires."""
    return await pool.fetchval(_NEXT_DUE, list(names))


async def fire_due(pool: asyncpg.Pool, registry: Registry, names: Iterable[str], now: datetime) -> int:
    """Fire what is due at `now`: a job in each tenant that is not suspended, however many times were missed. Gives how
    many fired.
    """
    fired = 0
    for row in await pool.fetch(_DUE, list(names), now):
        if await _fire(pool, registry, registry.schedules[row["name"]], row["next_at"], now):
            fired += 1
    return fired


async def _fire(pool: asyncpg.Pool, registry: Registry, schedule: Schedule, due_at: datetime, now: datetime) -> bool:
    job = schedule.job
    async with pool.acquire() as connection, connection.transaction():
        next_at = fires_after(schedule.cron, schedule.timezone, now)
        if await connection.execute(_MOVE, schedule.name, due_at, next_at) != "UPDATE 1":
            return False
        found = await connection.fetch("SELECT id FROM kernel_tenants WHERE status = 'active' ORDER BY id")
        tenants = [row["id"] for row in found]
        await connection.execute(
            _ENQUEUE,
            [new_id() for _ in tenants],
            tenants,
            registry.owners[job.name],
            job.name,
            msgspec.json.encode(schedule.payload).decode(),
            job.max_attempts,
            f"schedule:{schedule.name}:{due_at.isoformat()}",
        )
    log.info("schedule.fired", schedule=schedule.name, due_at=due_at.isoformat(), tenants=len(tenants))
    return True
