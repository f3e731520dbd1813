"""A toggle changes file and database together, or neither; of several at once each gets its way."""

import asyncio
from typing import Any

import pytest
from pegboard.plugins import revisions
from pegboard.plugins.errors import PluginsFileUnwritable
from pegboard.plugins.planning.probe import probe
from pegboard.plugins.revisions import Revision
from pegboard.plugins.toggle import Switches, toggle

from tests.support.fleet import Fleet
from tests.support.workshop import Workshop


@pytest.fixture
def hello(workshop: Workshop) -> None:
    """A plugin to toggle."""
    workshop.add("hello")


class Tripped(Exception):
    pass


async def _trip(*_: Any) -> None:
    raise Tripped


async def test_a_toggle_that_fails_leaves_file_and_database_as_they_were(fleet: Fleet, hello: None) -> None:
    platform = await fleet.api()
    before = fleet.file.read_text()
    database, config = platform.runtime.database, fleet.config()

    with pytest.raises(Tripped):
        await toggle(database, config, Switches(on=frozenset({"hello"})), probe=probe, origin="cli", audit=_trip)

    assert fleet.file.read_text() == before
    async with database.system_transaction() as connection:
        wanted = await revisions.wanted_revision(connection)
    assert wanted is not None
    assert wanted.plugins == []


async def test_a_commit_that_fails_takes_the_file_back(fleet: Fleet, hello: None) -> None:
    platform = await fleet.api()
    before = fleet.file.read_text()
    database = platform.runtime.database

    async def fail_at_commit(connection: Any, _revision: Revision, _changed: Switches) -> None:
        await connection.execute("CREATE TEMP TABLE trip (id int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
        await connection.execute("INSERT INTO trip VALUES (1), (1)")

    with pytest.raises(Exception, match="duplicate key"):
        await toggle(
            database, fleet.config(), Switches(on=frozenset({"hello"})), probe=probe, origin="cli", audit=fail_at_commit
        )

    assert fleet.file.read_text() == before
    async with database.system_transaction() as connection:
        wanted = await revisions.wanted_revision(connection)
    assert wanted is not None
    assert wanted.plugins == []


async def test_a_file_that_cannot_be_written_changes_nothing(fleet: Fleet, hello: None) -> None:
    platform = await fleet.api()
    config = fleet.config()
    fleet.file.unlink()
    fleet.file.mkdir()

    with pytest.raises(PluginsFileUnwritable):
        await toggle(platform.runtime.database, config, Switches(on=frozenset({"hello"})), probe=probe, origin="cli")
    async with platform.runtime.database.system_transaction() as connection:
        wanted = await revisions.wanted_revision(connection)
    assert wanted is not None
    assert wanted.plugins == []


async def test_two_who_toggle_at_once_both_get_their_way(fleet: Fleet, workshop: Workshop) -> None:
    for name in ("one", "two", "three"):
        workshop.add(name)
    platform = await fleet.api()
    config = fleet.config()

    await asyncio.gather(
        *(
            toggle(platform.runtime.database, config, Switches(on=frozenset({name})), probe=probe, origin="cli")
            for name in ("one", "two", "three")
        )
    )

    assert fleet.enabled() == {"one", "two", "three"}
    async with platform.runtime.database.system_transaction() as connection:
        wanted = await revisions.wanted_revision(connection)
    assert wanted is not None
    assert wanted.plugins == ["one", "three", "two"]
