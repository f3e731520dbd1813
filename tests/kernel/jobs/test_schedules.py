"""Schedules fire once per time and tenant, whoever runs, and once after downtime."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.jobs.schedules import fire_due, fires_after, next_due, sync_schedules
from pegboard_sdk import Job, Schedule, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, leave_effect


async def leave(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


PING = Job(name="probe.ping", payload=Ping, run=leave)
HOURLY = Schedule(name="probe.hourly", cron="0 * * * *", job=PING, payload=Ping(4))
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def at(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_time_of_day_is_the_time_zones():
    assert fires_after("30 8 * * *", "Europe/Berlin", NOON) == at("2026-06-02T08:30", "Europe/Berlin")
    assert fires_after("30 8 * * *", "America/New_York", NOON) == at("2026-06-01T08:30", "America/New_York")


def test_a_time_that_summer_time_skips_fires_right_after_the_switch():
    before = at("2026-03-29T00:00", "Europe/Berlin")
    assert fires_after("30 2 * * *", "Europe/Berlin", before) == at("2026-03-29T03:00", "Europe/Berlin")


def test_a_time_that_comes_twice_when_summer_time_ends_fires_once():
    before = at("2026-10-25T00:00", "Europe/Berlin")
    first = fires_after("30 2 * * *", "Europe/Berlin", before)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert fires_after("30 2 * * *", "Europe/Berlin", first) == at("2026-10-26T02:30", "Europe/Berlin")


def test_hours_are_hours_also_when_clocks_change():
    moment, times = datetime(2026, 10, 24, 22, 30, tzinfo=UTC), []
    for _ in range(5):
        moment = fires_after("0 * * * *", "Europe/Berlin", moment)
        times.append(moment)
    assert all(later - earlier == timedelta(hours=1) for earlier, later in pairwise(times))


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
)
CRONS = st.sampled_from(
    ["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 0 * * 1", "15 1 1 * *", "59 23 31 12 *"]
)


@given(CRONS, ZONES, st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)))
def test_the_next_time_is_later_and_nothing_fires_in_between(cron: str, zone: str, after: datetime):
    found = fires_after(cron, zone, after)
    assert found > after
    assert found.second == found.microsecond == 0
    just_before = found - timedelta(seconds=1)
    if just_before > after:
        assert fires_after(cron, zone, just_before) == found


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("* * * *", "UTC"), ("* * * * * *", "UTC"), ("61 * * * *", "UTC"), ("x", "UTC"), ("* * * * *", "Mars/Olympus")],
)
def test_what_is_no_schedule_is_refused(cron: str, zone: str):
    with pytest.raises(ValueError, match=r"cron expression|time zone"):
        fires_after(cron, zone, NOON)


async def jobs(lab: Lab, tenant: UUID) -> int:
    return await lab.pool.fetchval("SELECT count(*) FROM kernel_jobs WHERE tenant_id = $1", tenant)


async def test_it_fires_in_each_tenant_when_it_is_due(lab: Lab, home: UUID):
    other = await lab.tenant()
    lab.install(PING, schedules=[HOURLY])
    registry = lab.runtime.registry
    names = await sync_schedules(lab.pool, registry, NOON + timedelta(minutes=5))
    assert await next_due(lab.pool, names) == NOON + timedelta(hours=1)
    assert await fire_due(lab.pool, registry, names, NOON + timedelta(minutes=59)) == 0
    assert await fire_due(lab.pool, registry, names, NOON + timedelta(hours=1)) == 1
    assert await fire_due(lab.pool, registry, names, NOON + timedelta(hours=1)) == 0
    assert (await jobs(lab, home), await jobs(lab, other)) == (1, 1)
    await lab.drain()
    assert await lab.effects(home) == [4]


async def test_schedulers_at_the_same_time_fire_once(lab: Lab, home: UUID):
    lab.install(PING, schedules=[HOURLY])
    registry = lab.runtime.registry
    names = await sync_schedules(lab.pool, registry, NOON)
    later = NOON + timedelta(hours=1)
    fired = await asyncio.gather(*(fire_due(lab.pool, registry, names, later) for _ in range(3)))
    assert sum(fired) == 1
    assert await jobs(lab, home) == 1


async def test_after_downtime_it_fires_once_however_often_it_was_missed(lab: Lab, home: UUID):
    lab.install(PING, schedules=[HOURLY])
    registry = lab.runtime.registry
    names = await sync_schedules(lab.pool, registry, NOON)
    back = NOON + timedelta(days=3, minutes=10)
    assert await fire_due(lab.pool, registry, names, back) == 1
    assert await fire_due(lab.pool, registry, names, back) == 0
    assert await jobs(lab, home) == 1
    assert await next_due(lab.pool, names) == NOON + timedelta(days=3, hours=1)


async def test_a_restart_moves_nothing_and_a_changed_time_counts_from_now(lab: Lab):
    lab.install(PING, schedules=[HOURLY])
    await sync_schedules(lab.pool, lab.runtime.registry, NOON)
    names = await sync_schedules(lab.pool, lab.runtime.registry, NOON + timedelta(hours=5))
    assert await next_due(lab.pool, names) == NOON + timedelta(hours=1)
    daily = Schedule(name="probe.hourly", cron="0 0 * * *", job=PING, payload=Ping())
    lab.install(PING, schedules=[daily])
    await sync_schedules(lab.pool, lab.runtime.registry, NOON + timedelta(hours=5))
    assert await next_due(lab.pool, names) == NOON + timedelta(hours=12)


async def test_the_schedule_of_a_disabled_plugin_does_not_fire(lab: Lab, home: UUID):
    lab.install(PING, schedules=[HOURLY])
    await sync_schedules(lab.pool, lab.runtime.registry, NOON)
    lab.install()
    names = await sync_schedules(lab.pool, lab.runtime.registry, NOON)
    assert await fire_due(lab.pool, lab.runtime.registry, names, NOON + timedelta(days=1)) == 0
    assert await jobs(lab, home) == 0


async def test_an_invalid_schedule_does_not_stop_the_others(lab: Lab):
    wrong = Schedule(name="probe.wrong", cron="99 * * * *", job=PING, payload=Ping())
    lab.install(PING, schedules=[wrong, HOURLY])
    assert await sync_schedules(lab.pool, lab.runtime.registry, NOON) == ["probe.hourly"]
