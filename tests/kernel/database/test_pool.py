"""The tenant on the connection: whatever a request does to it, the next one sees its own tenant's rows only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard.database.pool import Database, TransactionFailed
from pegboard.database.urls import APP, derive_url
from pegboard_sdk.errors import Unavailable
from pegboard_sdk.ids import new_id

from tests.kernel.database.conftest import make_config

LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
VALUES = "SELECT value FROM probe ORDER BY value"


@pytest.fixture
async def single(probe_url: str) -> AsyncIterator[Database]:
    """Pools with one *app* connection, so that every request gets the one that the request before had."""
    database = await Database.open(make_config(probe_url, acquire_timeout=0.2, statement_timeout=5.0), pool_size=1)
    yield database
    await database.close()


async def read(database: Database, tenant: UUID) -> list[str]:
    async with database.reader(tenant) as connection:
        return [row["value"] for row in await connection.fetch(VALUES)]


async def write(database: Database, tenant: UUID, value: str, *, label: str | None = None) -> None:
    async with database.transaction(tenant) as connection:
        await connection.execute(
            "INSERT INTO probe (tenant_id, id, value, label) VALUES ($1, $2, $3, $4)", tenant, new_id(), value, label
        )


async def run(database: Database, kind: str, tenant: UUID, *statements: str) -> None:
    """Statements in a `reader` or a `transaction`."""
    async with getattr(database, kind)(tenant) as connection:
        for statement in statements:
            await connection.execute(statement)


@pytest.fixture
async def tenants(single: Database) -> tuple[UUID, UUID]:
    """Two, each with one row."""
    one, two = new_id(), new_id()
    await write(single, one, "one's")
    await write(single, two, "two's")
    return one, two


@pytest.mark.parametrize("next_one", [0, 1])
async def test_a_failed_write_between_two_reads(single: Database, tenants: tuple[UUID, UUID], next_one: int):
    rows = {tenants[0]: ["one's"], tenants[1]: ["two's"]}
    assert await read(single, tenants[0]) == rows[tenants[0]]
    with pytest.raises(asyncpg.DivisionByZeroError):
        await run(single, "transaction", tenants[1], "UPDATE probe SET value = 'lost'", "SELECT 1 / 0")
    for tenant in (tenants[next_one], tenants[1 - next_one]):
        assert await read(single, tenant) == rows[tenant]


async def test_what_decides_is_what_the_server_reports(single: Database, tenants: tuple[UUID, UUID]):
    """A SET in a transaction that rolls back reverts: a remembered tenant would be wrong."""
    one, two = tenants
    assert await read(single, one) == ["one's"]
    connection = await single.app.acquire()
    await connection.execute(f"BEGIN; SET application_name = 'pegboard:{two}'")
    assert connection.reported_name == f"pegboard:{two}"
    await connection.execute("ROLLBACK")
    assert connection.reported_name == f"pegboard:{one}"
    await single.app.release(connection)
    assert await read(single, two) == ["two's"]
    assert await read(single, one) == ["one's"]


@pytest.mark.parametrize(
    "statement", ["SET application_name = 'pegboard:{}'", "SELECT set_config('application_name', 'pegboard:{}', false)"]
)
async def test_a_tenant_that_somebody_else_set_does_not_stay(
    single: Database, tenants: tuple[UUID, UUID], statement: str
):
    one, two = tenants
    async with single.reader(one) as connection:
        await connection.execute(statement.format(two))
    assert await read(single, one) == ["one's"]
    async with single.transaction(one) as connection:
        await connection.execute(statement.format(one))
    assert await read(single, two) == ["two's"]


async def test_a_new_connection_has_no_tenant_and_sees_nothing(
    probe_url: str, master_key: bytes, tenants: tuple[UUID, UUID]
):
    connection = await asyncpg.connect(derive_url(probe_url, APP, master_key))
    assert await connection.fetch(VALUES) == []
    await connection.close()


async def test_a_plain_read_can_not_write(single: Database, tenants: tuple[UUID, UUID]):
    one, _ = tenants
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await run(single, "reader", one, "UPDATE probe SET value = 'changed'")
    await write(single, one, "after")
    assert await read(single, one) == ["after", "one's"]


@pytest.fixture
async def admin(probe_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(probe_url)
    yield connection
    await connection.close()


async def test_a_read_is_one_statement_and_a_write_adds_its_begin_and_commit(
    single: Database, tenants: tuple[UUID, UUID]
):
    """Taking and giving back a connection costs no round trip while its tenant stays."""
    one, _ = tenants
    await read(single, one)
    statements: list[str] = []
    async with single.reader(one) as connection:
        connection.add_query_logger(lambda record: statements.append(record.query))
    await read(single, one)
    assert statements == [VALUES]
    statements.clear()
    await run(single, "transaction", one, "SELECT 1")
    assert len(statements) == 3


async def until_it_runs(admin: asyncpg.Connection, what: str) -> int:
    """The server process that runs a statement like `what`, once one does."""
    pid = None
    async with asyncio.timeout(10):
        while pid is None:
            pid = await admin.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
                " AND datname = current_database() AND pid <> pg_backend_pid()",
                f"%{what}%",
            )
    return pid


@pytest.mark.parametrize("kind", ["reader", "transaction"])
async def test_a_request_that_is_cancelled_in_a_query(
    single: Database, tenants: tuple[UUID, UUID], admin: asyncpg.Connection, kind: str
):
    one, two = tenants
    task = asyncio.create_task(run(single, kind, two, "SELECT pg_sleep(60)"))
    await until_it_runs(admin, "pg_sleep")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await read(single, one) == ["one's"]
    await write(single, two, "after")
    assert await read(single, two) == ["after", "two's"]


async def test_a_request_that_is_cancelled_between_statements_changes_nothing(
    single: Database, tenants: tuple[UUID, UUID]
):
    one, two = tenants
    written = asyncio.Event()

    async def request() -> None:
        async with single.transaction(two) as connection:
            await connection.execute("UPDATE probe SET value = 'lost'")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await read(single, one) == ["one's"]
    assert await read(single, two) == ["two's"]


async def test_a_request_that_is_cancelled_while_it_waits_for_a_connection(
    single: Database, tenants: tuple[UUID, UUID]
):
    one, two = tenants
    async with single.reader(one):
        waiting = asyncio.create_task(read(single, two))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await read(single, two) == ["two's"]


@pytest.mark.parametrize("kind", ["reader", "transaction"])
async def test_a_statement_that_takes_too_long(single: Database, tenants: tuple[UUID, UUID], kind: str):
    one, two = tenants
    with pytest.raises(asyncpg.QueryCanceledError):
        await run(single, kind, two, "SET statement_timeout = '20ms'", "SELECT pg_sleep(60)")
    assert await read(single, one) == ["one's"]


@pytest.mark.parametrize("kind", ["reader", "transaction"])
async def test_a_server_process_that_dies(
    single: Database, tenants: tuple[UUID, UUID], admin: asyncpg.Connection, kind: str
):
    one, two = tenants
    task = asyncio.create_task(run(single, kind, two, "SELECT pg_sleep(60)"))
    await admin.execute("SELECT pg_terminate_backend($1)", await until_it_runs(admin, "pg_sleep"))
    with pytest.raises(LOST):
        await task
    assert await read(single, one) == ["one's"]
    assert await read(single, two) == ["two's"]


async def test_a_constraint_that_only_the_commit_checks(single: Database, tenants: tuple[UUID, UUID]):
    """COMMIT fails: the answer is an error, nothing is kept, and the connection comes back."""
    one, two = tenants
    await write(single, two, "labelled", label="x")
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(single, two, "twice", label="x")
    assert await read(single, one) == ["one's"]
    assert await read(single, two) == ["labelled", "two's"]


async def test_an_error_that_the_block_swallows_is_not_a_success(single: Database, tenants: tuple[UUID, UUID]):
    one, _ = tenants
    with pytest.raises(TransactionFailed):
        await swallow(single, one)
    assert await read(single, one) == ["one's"]


async def test_a_write_that_changed_the_tenant_is_not_committed(single: Database, tenants: tuple[UUID, UUID]):
    one, two = tenants

    async def write() -> None:
        async with single.transaction(one) as connection:
            await connection.execute(f"SET application_name = 'pegboard:{two}'")
            await connection.execute("UPDATE probe SET value = 'taken'")

    with pytest.raises(TransactionFailed):
        await write()
    assert await read(single, one) == ["one's"]
    assert await read(single, two) == ["two's"]


async def test_a_pool_that_is_used_up_answers_in_time_and_recovers(single: Database, tenants: tuple[UUID, UUID]):
    one, two = tenants
    began = asyncio.get_running_loop().time()
    async with single.transaction(one) as connection:
        with pytest.raises(Unavailable):
            async with single.transaction(two):
                pass
        with pytest.raises(Unavailable):
            await read(single, two)
        await connection.execute("UPDATE probe SET value = 'kept'")
    assert asyncio.get_running_loop().time() - began < 2
    assert await read(single, one) == ["kept"]
    assert await read(single, two) == ["two's"]


async def test_tenants_that_share_two_connections_at_once(database: Database):
    tenants = [new_id() for _ in range(5)]
    for number, tenant in enumerate(tenants):
        await write(database, tenant, str(number))
    seen: list[str] = []

    async def requests(number: int, tenant: UUID) -> None:
        for turn in range(30):
            try:
                if turn % 3:
                    assert await read(database, tenant) == [str(number)]
                else:
                    async with database.transaction(tenant) as connection:
                        assert [row["value"] for row in await connection.fetch(VALUES)] == [str(number)]
                        if turn % 2:
                            raise LookupError
                        await connection.execute("UPDATE probe SET value = value")
            except LookupError:
                pass
            seen.append(str(number))

    await asyncio.gather(*(requests(number, tenant) for number, tenant in enumerate(tenants)))
    assert len(seen) == 150
    assert len(set(seen[:10])) > 1


OPERATIONS = ("read", "write", "fail", "swallow", "commit_fails", "cancel", "set", "set_in_transaction", "die")
steps = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 2)), min_size=3, max_size=14)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_whatever_requests_do_each_tenant_sees_what_it_committed(single: Database, steps: list[tuple[str, int]]):
    """A model of three tenants' rows against one connection that all of them share."""
    tenants = [new_id() for _ in range(3)]
    model: dict[UUID, list[str]] = {tenant: ["0"] for tenant in tenants}
    for tenant in tenants:
        await write(single, tenant, "0", label="x")
    for number, (operation, who) in enumerate(steps, 1):
        tenant, other = tenants[who], tenants[who - 1]
        value = str(number).zfill(2)
        if operation == "write":
            await write(single, tenant, value)
            model[tenant].append(value)
        elif operation != "read":
            await misbehave(single, operation, tenant, other, value)
        for one in (tenant, other):
            assert await read(single, one) == sorted(model[one]), (operation, number)


async def misbehave(database: Database, operation: str, tenant: UUID, other: UUID, value: str) -> None:
    """A request that commits nothing."""
    lost, broken = "UPDATE probe SET value = 'lost'", "SELECT 1 / 0"
    somebody_else = f"SET application_name = 'pegboard:{other}'"
    match operation:
        case "fail":
            with pytest.raises(asyncpg.DivisionByZeroError):
                await run(database, "transaction", tenant, lost, broken)
        case "swallow":
            with pytest.raises(TransactionFailed):
                await swallow(database, tenant)
        case "commit_fails":
            with pytest.raises(asyncpg.UniqueViolationError):
                await write(database, tenant, value, label="x")
        case "cancel":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run(database, "transaction", tenant, lost, "SELECT pg_sleep(60)"), 0.01)
        case "set":
            await run(database, "reader", tenant, somebody_else)
        case "set_in_transaction":
            with pytest.raises(asyncpg.DivisionByZeroError):
                await run(database, "transaction", tenant, somebody_else, broken)
        case "die":
            with pytest.raises(LOST):
                await run(database, "reader", tenant, "SELECT pg_terminate_backend(pg_backend_pid())")


async def swallow(database: Database, tenant: UUID) -> None:
    """A block that catches a statement's error and goes on."""
    async with database.transaction(tenant) as connection:
        await connection.execute("UPDATE probe SET value = 'lost'")
        with suppress(asyncpg.DivisionByZeroError):
            await connection.execute("SELECT 1 / 0")
