"""Maintenance: who waits, who doesn't, what they are told, and that every process knows."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard_sdk.services import AuditLog

from tests.support.fleet import until
from tests.support.platform import Account, TestPlatform
from tests.support.servers import make_config

MAINTENANCE = "/api/v1/admin/maintenance"
STATE = "/api/v1/maintenance"
GIGS = "/api/v1/creation_studio/gigs"
MESSAGE = "New database. Back at noon."


@pytest.fixture
async def operator(platform: TestPlatform) -> AsyncIterator[Account]:
    """Who works on the platform. Whatever a test does, it is on again afterwards."""
    operator = await platform.account(DEFAULT_TENANT, ("member", "operator"))
    yield operator
    assert (await operator.client.delete(MAINTENANCE)).status_code == 200


@pytest.fixture
async def another(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[TestPlatform]:
    """Another process of the same platform."""
    running = TestPlatform(make_config(tmp_path, database_url, redis_url))
    await running.start()
    yield running
    await running.stop()


async def begin(operator: Account, **body: Any) -> httpx.Response:
    return await operator.client.put(MAINTENANCE, json={"message": MESSAGE, **body})


async def test_people_are_told_and_operators_go_on(platform: TestPlatform, tenant: UUID, operator: Account):
    member = await platform.account(tenant)
    answer = await begin(operator)
    assert answer.status_code == 200
    assert answer.json()["on"] is True
    for client, method, path in (
        (platform.anonymous(tenant), "GET", GIGS),
        (member.client, "GET", "/api/v1/ai_providers/quota"),
        (member.client, "POST", GIGS),
        (platform.anonymous(tenant), "POST", "/api/v1/auth/register"),
    ):
        refused = await client.request(method, path)
        assert (refused.status_code, refused.json()["code"]) == (503, "maintenance"), path
        assert refused.json()["detail"] == MESSAGE
        assert refused.headers["retry-after"] == "60"
        assert refused.headers["content-type"] == "application/problem+json"
    assert (await operator.client.get(GIGS)).status_code == 200
    assert (await operator.client.get("/api/v1/admin/plugins")).status_code == 200


async def test_what_machines_and_operators_need_stays_open(platform: TestPlatform, tenant: UUID, operator: Account):
    await begin(operator)
    anonymous = platform.anonymous(tenant)
    for path in ("/health/live", "/health/ready", "/.well-known/jwks.json", "/docs", "/openapi.json"):
        assert (await anonymous.get(path)).status_code == 200, path
    assert (await anonymous.get("/metrics")).status_code == 401
    wrong = {"email": "nobody@example.com", "password": "not the password"}
    assert (await anonymous.post("/api/v1/auth/login", json=wrong)).json()["code"] == "auth.bad_credentials"
    assert (await anonymous.get("/api/v1/nothing")).status_code == 404
    assert MESSAGE in (await anonymous.get("/")).text


async def test_clients_may_ask_when_it_ends(platform: TestPlatform, tenant: UUID, operator: Account):
    anonymous = platform.anonymous(tenant)
    assert (await anonymous.get(STATE)).json() == {
        "on": False, "since": None, "until": None, "message": "", "holds_jobs": False
    }  # fmt: skip
    end = datetime.now(UTC) + timedelta(minutes=10)
    await begin(operator, until=end.isoformat())
    state = (await anonymous.get(STATE)).json()
    assert (state["on"], state["message"]) == (True, MESSAGE)
    assert datetime.fromisoformat(state["until"]) == end
    assert 590 <= int((await anonymous.get(GIGS)).headers["retry-after"]) <= 601


async def test_an_end_that_has_passed_is_refused(operator: Account):
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    assert (await begin(operator, until=past)).json()["code"] == "invalid_input"


async def test_every_process_knows_and_one_that_starts_too(
    platform: TestPlatform, tenant: UUID, operator: Account, another: TestPlatform, tmp_path: Path
):
    elsewhere = another.anonymous(tenant)
    assert (await elsewhere.get(GIGS)).status_code == 200
    began = datetime.now(UTC)
    await begin(operator)

    async def waits() -> bool:
        return (await elsewhere.get(GIGS)).status_code == 503

    await until(waits, seconds=5)
    assert datetime.now(UTC) - began < timedelta(seconds=3)
    fresh = TestPlatform(another.config)
    await fresh.start()
    try:
        assert (await fresh.anonymous(tenant).get(GIGS)).status_code == 503
    finally:
        await fresh.stop()


async def test_it_takes_the_permission_and_a_fresh_proof(platform: TestPlatform, tenant: UUID, operator: Account):
    administrator = await platform.account(tenant, ("member", "administrator"))
    assert (await begin(administrator)).status_code == 403
    assert (await platform.anonymous(tenant).put(MAINTENANCE, json={})).status_code == 401
    assert (await platform.anonymous(tenant).get(STATE)).json()["on"] is False


async def test_beginning_changing_and_ending_are_on_record(platform: TestPlatform, operator: Account):
    await begin(operator)
    await begin(operator)
    await begin(operator, message="Longer than we thought.", holds_jobs=True)
    await operator.client.delete(MAINTENANCE)
    await operator.client.delete(MAINTENANCE)
    async with platform.work(platform.system(DEFAULT_TENANT)) as uow:
        page = await uow.service(AuditLog).search(uow, action="kernel:maintenance.set", limit=3)
    ended, changed, began = page.items
    assert (began.after or {})["message"] == MESSAGE
    assert (changed.after or {})["holds_jobs"] is True
    assert (ended.before or {})["on"] is True
    assert (ended.after or {})["on"] is False
    assert {entry.actor_id for entry in page.items} == {operator.id}
