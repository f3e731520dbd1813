"""What is told when something breaks at the worst moment."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from pegboard.web.exchange import Exchange
from pegboard.web.problems import to_domain_error
from pegboard.work import ReadWork
from pegboard_sdk import new_id
from pegboard_sdk.errors import DomainError

from tests.support.platform import TestPlatform


@pytest.fixture
def exchange(platform: TestPlatform) -> Exchange:
    generation = platform.app.platform.holder.current
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    return Exchange(platform.runtime, generation, scope, {}, new_id().hex, "127.0.0.1")  # type: ignore[arg-type]  # a scope with just what is read


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), ConnectionResetError(), asyncpg.ConnectionDoesNotExistError("gone"), RuntimeError("a mistake")],
    ids=lambda error: type(error).__name__,
)
def test_nothing_was_changed_is_not_claimed_after_a_commit(exchange: Exchange, error: Exception):
    before = exchange.told(to_domain_error(error, request_id="r"))
    assert before.code != "outcome_unknown"
    exchange.uncertain = True
    after = exchange.told(to_domain_error(error, request_id="r"))
    assert (after.status, after.code) == (503, "outcome_unknown")
    assert "nothing was changed" not in after.detail


def test_a_refusal_stays_one_after_a_commit(exchange: Exchange):
    exchange.uncertain = True
    refusal = DomainError("no")
    assert exchange.told(refusal) is refusal


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), 500),
        (asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"), 500),
        (asyncpg.InterfaceError("connection is closed"), 503),
        (asyncpg.InterfaceError("pool is closing"), 503),
        (asyncpg.InterfaceError("connection has been released back to the pool"), 503),
    ],
)
def test_a_mistake_with_the_database_is_no_outage(error: Exception, status: int):
    assert to_domain_error(error, request_id="r").status == status


async def test_reads_at_once_are_refused_and_no_connection_is_lost(platform: TestPlatform):
    """`asyncio.gather` over one unit of work is a mistake; it must not cost a connection each time."""
    runtime = platform.runtime
    for _ in range(runtime.database.app.get_max_size() + 1):
        # A tenant of its own each time, so that connecting takes a round trip.
        work = ReadWork(runtime, platform.registry, platform.system(new_id()), new_id().hex)
        first, second = await asyncio.gather(
            work.fetchval("SELECT 1"), work.fetchval("SELECT 2"), return_exceptions=True
        )
        await work.release()
        assert first == 1
        assert isinstance(second, RuntimeError)
        assert "one thing at a time" in str(second)
    assert runtime.database.app.get_idle_size() == runtime.database.app.get_size()


async def test_a_unit_of_work_that_ended_while_it_connected_keeps_nothing(platform: TestPlatform):
    runtime = platform.runtime
    for _ in range(runtime.database.app.get_max_size() + 1):
        work = ReadWork(runtime, platform.registry, platform.system(new_id()), new_id().hex)
        left_behind = asyncio.create_task(work.fetchval("SELECT 1"))
        await asyncio.sleep(0)
        await work.release()
        with pytest.raises(RuntimeError, match="has ended"):
            await left_behind
    assert runtime.database.app.get_idle_size() == runtime.database.app.get_size()


async def test_methods_that_nobody_knows_are_one_series(platform: TestPlatform, tenant: UUID):
    operator = await platform.account(tenant, ("member", "operator"))
    for number in range(5):
        await platform.client().request(f"EVIL{number}", "/health/live")
    metrics = (await operator.client.get("/metrics")).text
    assert "EVIL" not in metrics
    assert 'method="other"' in metrics
