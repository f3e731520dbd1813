"""Whose code holds memory is found out in the running processes, one look at a time."""

import asyncio
import tracemalloc
from uuid import UUID

import msgspec
import pytest
from pegboard.isolation.memory import Busy, measure
from pegboard_sdk import UnitOfWork

from tests.kernel.isolation.plugins import Behaviour
from tests.kernel.jobs.test_cli import pegboard
from tests.kernel.jobs.waiting import until
from tests.support.platform import Account, TestPlatform

LOOKS = "/api/v1/admin/memory-looks"
HELD: list[bytes] = []


@pytest.fixture
async def operator(platform: TestPlatform) -> Account:
    return await platform.account(await platform.tenant(), roles=("member", "operator"))


async def hoard(_: UnitOfWork) -> None:
    HELD.append(bytes(300_000))


async def test_the_plugin_that_holds_memory_is_named(platform: TestPlatform, operator: Account, behaviour: Behaviour):
    behaviour.shop = hoard
    answer = await operator.client.post(LOOKS, json={"seconds": 1.5})
    assert answer.status_code == 202, answer.text
    look = answer.json()
    assert look["missing"] >= 1
    again = await operator.client.post(LOOKS, json={"seconds": 1})
    assert (again.status_code, again.json()["code"]) == (409, "memory_look_under_way")

    async def tracing() -> bool:
        return tracemalloc.is_tracing()

    await until(tracing)
    for _ in range(5):
        assert (await operator.client.get("/api/v1/shop/things")).status_code == 200

    async def reported() -> bool:
        nonlocal look
        look = (await operator.client.get(f"{LOOKS}/{look['id']}")).json()
        return bool(look["reports"])

    await until(reported)
    HELD.clear()
    assert not tracemalloc.is_tracing()
    (report,) = [one for one in look["reports"] if one["error"] is None]
    assert report["kind"] == "api"
    shop = next(one for one in report["owners"] if one["owner"] == "shop")
    assert shop["bytes"] >= 1_500_000
    assert shop["lines"][0]["where"].startswith(f"{__file__}:")
    assert {one["owner"] for one in report["owners"]} <= {"shop", "bank", "kernel", "libraries"}


async def test_the_command_shows_it_for_people_and_for_programs(platform: TestPlatform, behaviour: Behaviour):
    shown = await pegboard(platform.config, "doctor", "memory", "--seconds", "1")
    assert shown.exit_code == 0, shown.output
    assert "\napi " in f"\n{shown.stdout}"
    assert "\n  kernel " in shown.stdout
    as_json = await pegboard(platform.config, "doctor", "memory", "--seconds", "1", "--json")
    look = msgspec.json.decode(as_json.stdout.splitlines()[-1])
    assert (look["done"], look["missing"], len(look["reports"])) == (True, 0, 1)
    too_long = await pegboard(platform.config, "doctor", "memory", "--seconds", "61")
    assert too_long.exit_code == 2


async def test_tracing_always_ends(platform: TestPlatform):
    owners = platform.runtime.breakers.owners
    task = asyncio.create_task(measure(60, owners))

    async def tracing() -> bool:
        return tracemalloc.is_tracing()

    await until(tracing)
    with pytest.raises(Busy):
        await measure(1, owners)
    task.cancel()
    await asyncio.wait((task,))
    assert not tracemalloc.is_tracing()


async def test_a_member_may_not_look(platform: TestPlatform):
    member = await platform.account(await platform.tenant())
    assert (await member.client.post(LOOKS, json={})).status_code == 403
    assert (await member.client.get(f"{LOOKS}/{UUID(int=1)}")).status_code == 403


async def test_a_look_is_bounded_and_known(operator: Account):
    assert (await operator.client.post(LOOKS, json={"seconds": 61})).status_code == 400
    missing = await operator.client.get(f"{LOOKS}/{UUID(int=1)}")
    assert (missing.status_code, missing.json()["code"]) == (404, "memory_look_not_found")
