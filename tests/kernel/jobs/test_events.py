"""An event reaches each of its handlers, at least once, and one handler's failure is its own."""

import asyncio
from uuid import UUID

from pegboard.jobs.relay import relay_events, take_due
from pegboard.jobs.sweeps import requeue_lost
from pegboard_sdk import EventHandler, Job, UnitOfWork

from tests.kernel.jobs.lab import Lab, Ping, PingedView, leave_effect, plugin


async def leave(uow: UnitOfWork, event: PingedView) -> None:
    await leave_effect(uow, "handler", event.n)


async def fail(_: UnitOfWork, __: PingedView) -> None:
    raise ZeroDivisionError("no luck")


async def leave_ping(uow: UnitOfWork, ping: Ping) -> None:
    await leave_effect(uow, "ping", ping.n)


PING = Job(name="probe.ping", payload=Ping, run=leave_ping)


def handler(name: str, handle=leave, **options) -> EventHandler[PingedView]:
    return EventHandler(event="probe.pinged", name=name, type=PingedView, handle=handle, **options)


async def test_each_handler_of_an_event_runs(lab: Lab, home: UUID):
    lab.enable(
        plugin("one", handlers=[handler("one_first"), handler("one_second")]),
        plugin("two", handlers=[handler("two_only")]),
    )
    await lab.emit(home, 3)
    assert await lab.drain() == 3
    assert await lab.effects(home) == [3, 3, 3]
    assert await lab.states(home) == {
        "probe.pinged/one_first": "succeeded",
        "probe.pinged/one_second": "succeeded",
        "probe.pinged/two_only": "succeeded",
    }


async def test_a_delivery_carries_the_events_id_tenant_and_request(lab: Lab, home: UUID):
    lab.install(handlers=[handler("listen")])
    event_id = await lab.emit(home, 1)
    await lab.drain()
    row = await lab.pool.fetchrow("SELECT * FROM kernel_jobs WHERE event_id = $1", event_id)
    event = await lab.pool.fetchrow("SELECT * FROM kernel_events WHERE id = $1", event_id)
    assert row is not None
    assert event is not None
    assert (row["tenant_id"], row["plugin"], row["request_id"]) == (home, "probe", event["request_id"])
    assert row["id"].version == 7
    assert row["id"].int >> 80 == event_id.int >> 80, "made at the event's time"
    assert event["relayed_at"] is not None


async def test_a_handler_that_fails_does_not_hold_up_the_others(lab: Lab, home: UUID):
    lab.install(handlers=[handler("broken", fail), handler("works")])
    await lab.emit(home, 1)
    await lab.emit(home, 2)
    await lab.drain()
    assert await lab.effects(home) == [1, 2]
    assert await lab.states(home) == {"probe.pinged/broken": "queued", "probe.pinged/works": "succeeded"}


async def test_a_handler_that_keeps_failing_becomes_a_dead_letter(lab: Lab, home: UUID):
    lab.install(handlers=[handler("broken", fail, max_attempts=2)])
    await lab.emit(home, 1)
    await lab.drain(include_delayed=True)
    assert await lab.states(home) == {"probe.pinged/broken": "dead"}


async def test_an_event_that_nobody_listens_to_is_relayed_to_nobody(lab: Lab, home: UUID):
    lab.install()
    await lab.emit(home, 1)
    assert await relay_events(lab.pool, lab.catalogs.current) == 1
    assert await relay_events(lab.pool, lab.catalogs.current) == 0
    assert await lab.states(home) == {}


async def test_relays_share_events_and_jobs_and_do_not_wait_for_each_other(lab: Lab, home: UUID):
    lab.install(PING, handlers=[handler("listen")])
    await lab.emit(home, 1)
    await lab.enqueue(home, PING, 2)
    async with lab.pool.acquire() as first, first.transaction(), asyncio.timeout(5):
        assert await relay_events(first, lab.catalogs.current) == 1
        assert (await take_due(first, lab.catalogs.current))[0] == 2, "the job and the delivery"
        assert await relay_events(lab.pool, lab.catalogs.current) == 0
        assert await take_due(lab.pool, lab.catalogs.current) == (0, [])
        await lab.emit(home, 3)
        assert await relay_events(lab.pool, lab.catalogs.current) == 1
    await requeue_lost(lab.pool, 0.0)
    await lab.drain()
    assert await lab.effects(home) == [1, 2, 3]


async def test_an_event_relayed_twice_is_delivered_once(lab: Lab, home: UUID):
    """As after a restore of the database to a moment before the relay marked it."""
    lab.install(handlers=[handler("listen")])
    await lab.emit(home, 1)
    await relay_events(lab.pool, lab.catalogs.current)
    await lab.pool.execute("UPDATE kernel_events SET relayed_at = NULL")
    assert await relay_events(lab.pool, lab.catalogs.current) == 1
    await lab.drain()
    assert await lab.effects(home) == [1]


async def test_a_delivery_waits_for_its_handlers_plugin(lab: Lab, home: UUID):
    lab.install(handlers=[handler("listen")])
    await lab.emit(home, 1)
    await relay_events(lab.pool, lab.catalogs.current)
    lab.install()
    await lab.drain()
    assert await lab.states(home) == {"probe.pinged/listen": "parked"}
