"""An outage of the database silences all processes at once: none of them is taken for dead by whoever toggles then."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pegboard.database.pool import Database
from pegboard.plugins import processes, revisions
from pegboard.plugins.planning.probe import probe
from pegboard.plugins.toggle import Switches, Toggled, toggle
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id

from tests.support.fleet import Fleet, until
from tests.support.workshop import Workshop

SILENCE = """
UPDATE kernel_processes SET heartbeat_at = now() - interval '40 seconds', heard_since = now() - interval '1 hour'
WHERE id = ANY ($1::uuid[])
"""


class Silent:
    """Processes that run revision 1 and have not been heard of for 40 seconds: rows, which a test lets beat."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids = [new_id(), new_id()]

    async def start(self) -> None:
        async with self.database.system_transaction() as connection:
            active = await revisions.active_revision(connection)
            assert active is not None
            for one in self.ids:
                await processes.register(connection, one, "worker", "elsewhere", os.getpid())
                await processes.report_active(connection, one, active.number, {}, {})
            await connection.execute(SILENCE, self.ids)

    async def beat(self, *ids: Any) -> None:
        async with self.database.system_transaction() as connection:
            for one in ids:
                assert await processes.heartbeat(connection, one, error=None, conflict=None, breakers={})

    async def state(self, number: int) -> str:
        async with self.database.system_transaction() as connection:
            found = await revisions.revision(connection, number)
        assert found is not None
        return found.state


@pytest.fixture
async def silent(fleet: Fleet, workshop: Workshop) -> AsyncIterator[Silent]:
    workshop.add("hello")
    worker = await fleet.worker()
    await worker.stop()
    # Of the platform its revision is left.
    runtime = await Runtime.open(fleet.config())
    silent = Silent(runtime.database)
    await silent.start()
    yield silent
    await runtime.close()


def enable(fleet: Fleet, silent: Silent, patience: float) -> "asyncio.Task[Toggled]":
    switches = Switches(on=frozenset({"hello"}))
    return asyncio.create_task(
        toggle(silent.database, fleet.config(), switches, probe=probe, origin="cli", patience=patience)
    )


async def test_a_toggle_waits_for_those_that_come_back(fleet: Fleet, silent: Silent) -> None:
    toggling = enable(fleet, silent, patience=60)
    await silent.beat(silent.ids[0])
    # One is back for a moment only: the other may come yet.
    await until(lambda: _waits(silent, toggling))
    await silent.beat(silent.ids[1])
    toggled = await toggling

    assert (toggled.revision.state, toggled.gone) == ("preparing", [])


async def test_a_toggle_gives_up_on_those_that_do_not_and_says_so(fleet: Fleet, silent: Silent) -> None:
    toggled = await enable(fleet, silent, patience=0)

    assert toggled.revision.state == "active"
    assert sorted(one.id for one in toggled.gone) == sorted(silent.ids)


async def test_nothing_is_active_before_all_are_back(fleet: Fleet, silent: Silent) -> None:
    # As an edit of the file does, which waits for nobody.
    async with silent.database.system_transaction() as connection:
        revision = await revisions.propose(connection, ["hello"], file_hash="", origin="file")
    assert revision.state == "preparing"
    first, second = silent.ids
    for one, expected in ((first, False), (second, True)):
        async with silent.database.system_transaction() as connection:
            await processes.report_ready(connection, one, revision.number)
            assert await revisions.activate_if_ready(connection, revision.number) is expected


async def test_who_is_silent_beside_one_that_was_not_is_gone(fleet: Fleet, silent: Silent) -> None:
    first, _ = silent.ids
    async with silent.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_processes SET heartbeat_at = now() WHERE id = $1", first)
        assert await processes.awaited_processes(connection) == []
        revision = await revisions.propose(connection, ["hello"], file_hash="", origin="cli")
        await processes.report_ready(connection, first, revision.number)
        assert await revisions.activate_if_ready(connection, revision.number)
    assert await silent.state(revision.number) == "active"


async def _waits(silent: Silent, toggling: "asyncio.Task[Toggled]") -> bool:
    async with silent.database.system_transaction() as connection:
        awaited = await processes.awaited_processes(connection)
    assert not toggling.done()
    return [one.id for one in awaited] == [silent.ids[1]]
