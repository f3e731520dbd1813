"""A plugin's own failures open its breaker; whatever else goes wrong doesn't. Open, it is asked again carefully."""

import asyncio

import asyncpg
import httpx
import pytest
import redis.exceptions
from pegboard.isolation.breakers import Breakers
from pegboard_sdk import UnitOfWork
from pegboard_sdk.errors import Conflict, DomainError, Forbidden, ServiceMissing, Unavailable, UpstreamFailed

from tests.kernel.isolation.conftest import swap
from tests.kernel.isolation.plugins import BANK, Behaviour, Clock, bank, shop
from tests.kernel.jobs.waiting import until
from tests.support.asgi import Receiver
from tests.support.faults import BreakingPool
from tests.support.platform import Account, TestPlatform

THINGS = "/api/v1/shop/things"


@pytest.fixture
async def ada(platform: TestPlatform) -> Account:
    return await platform.account(await platform.tenant())


@pytest.fixture
def breakers(platform: TestPlatform) -> Breakers:
    return platform.runtime.breakers


async def ask(ada: Account, times: int, *, method: str = "GET", path: str = THINGS) -> list[int]:
    return [(await ada.client.request(method, path)).status_code for _ in range(times)]


async def test_open_half_open_closed(
    platform: TestPlatform, breakers: Breakers, ada: Account, behaviour: Behaviour, clock: Clock
):
    behaviour.shop_error = KeyError("no such thing")
    assert await ask(ada, 4) == [500] * 4
    assert breakers.states() == {"shop": "open"}

    behaviour.forget()
    refused = await ada.client.get(THINGS)
    assert refused.status_code == 503
    assert refused.json()["code"] == "plugin_unavailable"
    assert "Try again in 10 s" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["content-type"] == "application/problem+json"
    assert behaviour.entered.empty()
    assert (await ada.client.get("/api/v1/auth/me")).status_code == 200  # the kernel's own have none

    behaviour.shop_error = KeyError("no such thing")
    clock.now += 10
    assert await ask(ada, 1) == [500]
    assert breakers.states() == {"shop": "open"}
    assert (await ada.client.get(THINGS)).headers["retry-after"] == "20"

    behaviour.shop_error = None
    clock.now += 20
    assert await ask(ada, 1) == [200]
    assert breakers.states() == {"shop": "half_open"}
    assert await ask(ada, 2) == [200, 200]
    assert breakers.states() == {}


async def test_only_authorized_requests_are_probes(
    platform: TestPlatform, breakers: Breakers, ada: Account, behaviour: Behaviour, clock: Clock
):
    behaviour.shop_error = KeyError("no such thing")
    await ask(ada, 4)
    clock.now += 10
    stranger = platform.anonymous(ada.tenant_id)
    assert [(await stranger.get(THINGS)).status_code for _ in range(5)] == [401] * 5
    assert breakers.states() == {"shop": "open"}


async def test_few_probes_at_a_time(breakers: Breakers, ada: Account, behaviour: Behaviour, clock: Clock):
    behaviour.shop_error = KeyError("no such thing")
    await ask(ada, 4)
    behaviour.forget()
    behaviour.gate = asyncio.Event()
    clock.now += 10
    waiting = [asyncio.create_task(ada.client.get(THINGS)) for _ in range(2)]
    async with asyncio.timeout(10):
        await behaviour.entered.get()
        await behaviour.entered.get()
    assert await ask(ada, 3) == [503] * 3
    behaviour.gate.set()
    assert [(await one).status_code for one in waiting] == [200, 200]
    assert breakers.states() == {}


@pytest.mark.parametrize(
    "error",
    [
        Conflict("no"),
        Forbidden("no"),
        UpstreamFailed("they don't answer"),
        Unavailable("later"),
        ServiceMissing("nobody offers it"),
        ConnectionResetError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.AdminShutdownError("bye"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.SerializationError("again"),
        asyncpg.DeadlockDetectedError("again"),
        asyncpg.QueryCanceledError("statement timeout"),
        asyncpg.UniqueViolationError("there is one"),
        asyncpg.ForeignKeyViolationError("it is gone"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        redis.exceptions.ConnectionError("refused"),
        redis.exceptions.TimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_not_its_fault_never_opens_it(
    error: Exception, breakers: Breakers, ada: Account, behaviour: Behaviour
):
    behaviour.shop_error = error
    await ask(ada, 10)
    assert breakers.states() == {}
    breaker = breakers.get("shop")
    assert breaker is not None
    assert breaker.counts == (0, 0)


class OwnUp(DomainError):
    status = 500
    code = "shop.own_up"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        OwnUp("our mistake"),
        asyncpg.UndefinedColumnError("no such column"),
        asyncpg.NotNullViolationError("null"),
        asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"),
        TimeoutError(),
        FileNotFoundError("a template"),
        ExceptionGroup("several", [Conflict("no"), KeyError("x")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_its_fault_opens_it(error: Exception, breakers: Breakers, ada: Account, behaviour: Behaviour):
    behaviour.shop_error = error
    await ask(ada, 4)
    assert breakers.states() == {"shop": "open"}


async def test_callers_mistakes_never_open_it(breakers: Breakers, ada: Account, platform: TestPlatform):
    stranger = platform.anonymous(ada.tenant_id)
    for _ in range(20):
        assert (await stranger.get(THINGS)).status_code == 401
        assert (await ada.client.delete(THINGS)).status_code == 405
        assert (await ada.client.get("/api/v1/shop/nothing")).status_code == 404
    assert breakers.states() == {}


async def test_the_one_whose_code_fails_is_at_fault(breakers: Breakers, ada: Account, behaviour: Behaviour):
    """The shop's route calls the bank's service, which raises."""
    behaviour.bank_error = KeyError("no such account")
    answers = [(await ada.client.post(THINGS)).status_code for _ in range(4)]
    assert answers == [500] * 4
    assert breakers.states() == {"bank": "open"}
    breaker = breakers.get("bank")
    assert breaker is not None
    assert breaker.cause is not None
    assert breaker.cause.error == "KeyError"
    assert breaker.cause.place == f"{BANK}/service.py:9 fund"
    # A service may be called on: what calls it finds out by itself.
    behaviour.bank_error = None
    assert (await ada.client.post(THINGS)).status_code == 201


async def test_calls_of_a_service_that_succeed_count_too(breakers: Breakers, ada: Account, behaviour: Behaviour):
    for _ in range(6):
        assert (await ada.client.post(THINGS)).status_code == 201
    behaviour.bank_error = KeyError("no such account")
    for _ in range(5):
        assert (await ada.client.post(THINGS)).status_code == 500
    breaker = breakers.get("bank")
    assert breaker is not None
    assert breaker.counts == (11, 5)
    assert breakers.states() == {}


async def test_a_time_out_counts_for_who_waited(breakers: Breakers, ada: Account, behaviour: Behaviour):
    async def wait(_: UnitOfWork) -> None:
        await asyncio.Event().wait()

    behaviour.shop = wait
    assert await ask(ada, 4, method="POST", path="/api/v1/shop/slow") == [503] * 4
    assert breakers.states() == {"shop": "open"}
    breaker = breakers.get("shop")
    assert breaker is not None
    assert breaker.cause is not None
    assert breaker.cause.error == "TimeoutError"
    assert breaker.cause.place.endswith(" wait")


async def test_waiting_for_the_database_is_nobodys_fault(breakers: Breakers, ada: Account, behaviour: Behaviour):
    async def wait(uow: UnitOfWork) -> None:
        await uow.execute("SELECT pg_sleep(60)")

    behaviour.shop = wait
    assert await ask(ada, 4, method="POST", path="/api/v1/shop/slow") == [503] * 4
    assert breakers.states() == {}


async def test_an_outage_of_the_database_opens_nothing(
    platform: TestPlatform,
    breakers: Breakers,
    ada: Account,
    behaviour: Behaviour,
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str,
):
    async def read(uow: UnitOfWork) -> None:
        await uow.fetchval("SELECT 1")

    async def lose(uow: UnitOfWork) -> None:
        pid = await uow.fetchval("SELECT pg_backend_pid()")
        await superuser.execute("SELECT pg_terminate_backend($1)", pid)
        await uow.fetchval("SELECT 1")

    superuser = await asyncpg.connect(postgres_url)
    database = platform.runtime.database
    behaviour.shop = read
    pool = BreakingPool(database.app)
    with monkeypatch.context() as patch:
        patch.setattr(database, "app", pool)
        pool.errors = [ConnectionRefusedError(), TimeoutError(), asyncpg.CannotConnectNowError("starting")] * 5
        assert set(await ask(ada, 15)) == {503}
    behaviour.shop = lose
    assert await ask(ada, 10) == [503] * 10
    await superuser.close()
    assert breakers.states() == {}


async def test_who_hangs_up_counts_neither_way(
    platform: TestPlatform, breakers: Breakers, ada: Account, behaviour: Behaviour
):
    behaviour.gate = asyncio.Event()
    for _ in range(8):
        request = asyncio.create_task(ada.client.get(THINGS))
        async with asyncio.timeout(10):
            await behaviour.entered.get()
        request.cancel()
        await asyncio.wait((request,))
    breaker = breakers.get("shop")
    assert breaker is not None
    assert breaker.counts == (0, 0)


async def test_a_stream_that_breaks_midway_counts(
    platform: TestPlatform, breakers: Breakers, ada: Account, behaviour: Behaviour
):
    async def receive() -> None:
        headers = {"authorization": f"Bearer {ada.token}"}
        async with Receiver(platform.app, "/api/v1/shop/stream", method="GET", headers=headers) as receiver:
            assert receiver.status == 200
            await receiver.rest()

    await receive()
    breaker = breakers.get("shop")
    assert breaker is not None
    assert breaker.counts == (1, 0)
    behaviour.stream_error = KeyError("x")
    for _ in range(3):
        await receive()
    assert breakers.states() == {"shop": "open"}


async def test_another_version_begins_anew_and_the_same_goes_on(
    platform: TestPlatform, breakers: Breakers, ada: Account, behaviour: Behaviour
):
    behaviour.shop_error = KeyError("x")
    await ask(ada, 4)
    await swap(platform, bank(behaviour), shop(behaviour))
    assert breakers.states() == {"shop": "open"}
    await swap(platform, bank(behaviour), shop(behaviour, version="1.0.1"))
    assert breakers.states() == {}
    await ask(ada, 4)
    assert breakers.states() == {"shop": "open"}
    await swap(platform, bank(behaviour))
    await swap(platform, bank(behaviour), shop(behaviour, version="1.0.1"))
    assert breakers.states() == {}


async def test_the_state_is_shown(platform: TestPlatform, ada: Account, behaviour: Behaviour):
    behaviour.shop_error = KeyError("x")
    await ask(ada, 4)
    metrics = platform.runtime.metrics.render().decode()
    assert 'pegboard_breaker_state{plugin="shop"} 2.0' in metrics
    assert 'pegboard_breaker_transitions_total{plugin="shop",state="open"}' in metrics
    operator = await platform.account(ada.tenant_id, roles=("operator",))
    health: httpx.Response = await operator.client.get("/health/plugins")
    shown = {one["plugin"]: (one["ok"], one["breaker"]) for one in health.json()["items"]}
    assert shown["shop"] == (True, "open")
    assert shown["bank"] == (True, "closed")


async def test_each_process_says_so_with_its_heartbeat(platform: TestPlatform, ada: Account, behaviour: Behaviour):
    operator = await platform.account(ada.tenant_id, roles=("operator",))
    behaviour.shop_error = KeyError("x")
    await ask(ada, 4)

    async def shown() -> bool:
        overview = (await operator.client.get("/api/v1/admin/plugins")).json()
        return {"shop": "open"} in [one["breakers"] for one in overview["processes"]]

    await until(shown)


async def test_callers_who_send_slowly_open_nothing(platform: TestPlatform, breakers: Breakers, ada: Account):
    headers = {"authorization": f"Bearer {ada.token}", "idempotency-key": "one", "content-length": "100"}
    for _ in range(6):
        async with Receiver(platform.app, "/api/v1/shop/slow", body=b"{", whole=False, headers=headers) as receiver:
            assert receiver.status == 503
    assert breakers.states() == {}
    assert await ask(ada, 1) == [200]
