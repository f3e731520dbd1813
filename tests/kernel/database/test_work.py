"""The unit of work on its transaction: savepoints, commits that fail, and Piccolo's queries."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.database.pool import Database
from pegboard.plugins.registry import EMPTY
from pegboard.work import Work, transact
from pegboard_sdk.access import Principal
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.errors import Unavailable
from pegboard_sdk.ids import new_id
from piccolo import columns
from piccolo.table import Table


class Probe(Table, tablename="probe"):
    """The table of these tests, in part."""

    tenant_id = columns.UUID(null=False, default=None)
    id = columns.UUID(primary_key=True, default=None)
    value = columns.Text(null=False, default="")
    label = columns.Text(null=True, default=None)


PiccoloApp(name="probe", tables=[Probe])


@pytest.fixture
def tenant() -> UUID:
    return new_id()


@pytest.fixture
def runtime(database: Database) -> Any:
    """All that a transaction needs of one."""
    return SimpleNamespace(database=database)


def work_as(runtime: Any, tenant: UUID) -> Any:
    return transact(runtime, EMPTY, Principal(kind="system", tenant_id=tenant), "request")


async def insert(work: Work, value: str, label: str | None = None) -> None:
    await work.execute(
        "INSERT INTO probe (tenant_id, id, value, label) VALUES ($1, $2, $3, $4)",
        work.tenant_id,
        new_id(),
        value,
        label,
    )


async def values(runtime: Any, tenant: UUID) -> list[str]:
    async with runtime.database.reader(tenant) as connection:
        return [row["value"] for row in await connection.fetch("SELECT value FROM probe ORDER BY value")]


async def failing(work: Work, value: str) -> None:
    async with work.savepoint():
        await insert(work, value)
        await work.fetchval("SELECT 1 / 0")


async def test_a_savepoint_takes_back_what_failed_and_nothing_else(runtime: Any, tenant: UUID):
    async with work_as(runtime, tenant) as work:
        await insert(work, "a")
        async with work.savepoint():
            await insert(work, "b")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await failing(work, "lost")
            async with work.savepoint():
                await insert(work, "c")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await failing(work, "lost")
        await insert(work, "d")
    assert await values(runtime, tenant) == ["a", "b", "c", "d"]


async def test_a_failure_around_a_savepoint_takes_it_back_too(runtime: Any, tenant: UUID):
    async def request() -> None:
        async with work_as(runtime, tenant) as work:
            async with work.savepoint():
                await insert(work, "lost")
            raise LookupError

    with pytest.raises(LookupError):
        await request()
    assert await values(runtime, tenant) == []


async def test_a_commit_that_fails_is_an_error_and_gives_the_connection_back(runtime: Any, tenant: UUID):
    """A constraint that only COMMIT checks. Piccolo's own transaction keeps its connection for ever then."""
    told: list[str] = []

    async def request(value: str) -> None:
        async with work_as(runtime, tenant) as work:
            work.after_commit(lambda: tell(value))
            await insert(work, value, label="the same")

    async def tell(value: str) -> None:
        told.append(value)

    await request("first")
    for _ in range(4):  # more often than there are connections
        with pytest.raises(asyncpg.UniqueViolationError):
            await request("second")
    assert told == ["first"]
    assert await values(runtime, tenant) == ["first"]


async def test_units_of_work_inside_each_other_are_transactions_of_their_own(runtime: Any, tenant: UUID):
    async def request() -> None:
        async with work_as(runtime, tenant) as outer:
            await insert(outer, "lost")
            async with work_as(runtime, tenant) as inner:
                await insert(inner, "kept")
            raise LookupError

    with pytest.raises(LookupError):
        await request()
    assert await values(runtime, tenant) == ["kept"]


async def test_more_units_of_work_than_connections_wait_and_are_then_refused(runtime: Any, tenant: UUID):
    async with work_as(runtime, tenant) as one, work_as(runtime, tenant):
        with pytest.raises(Unavailable) as refusal:
            await asyncio.wait_for(work_as(runtime, tenant).__aenter__(), 5)
        assert refusal.value.headers["Retry-After"] == "1"
        await insert(one, "kept")
    assert await values(runtime, tenant) == ["kept"]


async def test_piccolos_queries_run_in_the_unit_of_work(runtime: Any, tenant: UUID):
    async with work_as(runtime, tenant) as work:
        await work.run(Probe.insert(Probe(tenant_id=tenant, id=new_id(), value="An Apple")))
        await insert(work, "a pear")
        assert await work.run(Probe.select(Probe.value).where(Probe.value.ilike("%apple"))) == [{"value": "An Apple"}]
        await work.run(Probe.update({Probe.label: "fruit"}, force=True))
        await work.run(Probe.delete().where(Probe.value == "a pear"))
    async with work_as(runtime, new_id()) as work:
        assert await work.run(Probe.select()) == []
    async with work_as(runtime, tenant) as work:
        assert await work.run(Probe.select(Probe.value, Probe.label)) == [{"value": "An Apple", "label": "fruit"}]


async def test_piccolos_queries_have_no_connection_of_their_own():
    with pytest.raises(RuntimeError, match=r"uow\.run"):
        await Probe.select()
    with pytest.raises(RuntimeError, match=r"uow\.run"):
        await Probe.raw("SELECT 1")
