"""Operators look at the jobs of all tenants and run dead ones again; nobody else does."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.jobs.service import JobService
from pegboard.work import WorkContext
from pegboard_sdk import new_id

from tests.support.platform import Account, TestPlatform

JOBS = "/api/v1/admin/jobs"


async def make_job(platform: TestPlatform, tenant: UUID, state: str = "dead", **columns: Any) -> UUID:
    """A job's row, as a worker would have left it."""
    fields = {
        "id": new_id(),
        "tenant_id": tenant,
        "plugin": "probe",
        "name": "probe.ping",
        "payload": '{"n": 1}',
        "state": state,
        "attempts": 8,
        "max_attempts": 8,
        "error": "ZeroDivisionError: no luck",
        **columns,
    }
    names = ", ".join(fields)
    marks = ", ".join(f"${n}" for n in range(1, len(fields) + 1))
    finished = "now()" if state in ("dead", "succeeded") else "NULL"
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            f"INSERT INTO kernel_jobs ({names}, finished_at) VALUES ({marks}, {finished})", *fields.values()
        )
    return fields["id"]


@pytest.fixture
async def operator(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant, roles=("member", "operator"))


async def test_an_operator_sees_the_jobs_of_every_tenant(platform: TestPlatform, operator: Account):
    elsewhere = await platform.tenant()
    job_id = await make_job(platform, elsewhere)
    response = await operator.client.get(f"{JOBS}/{job_id}")
    assert response.status_code == 200
    job = response.json()
    assert (job["tenant_id"], job["state"], job["payload"]) == (str(elsewhere), "dead", {"n": 1})
    assert job["error"] == "ZeroDivisionError: no luck"


@pytest.mark.parametrize("roles", [("member",), ("member", "administrator")])
async def test_nobody_but_operators_sees_or_runs_jobs(platform: TestPlatform, tenant: UUID, roles: tuple[str, ...]):
    account = await platform.account(tenant, roles=roles)
    job_id = await make_job(platform, tenant)
    assert (await account.client.get(JOBS)).status_code == 403
    assert (await account.client.get(f"{JOBS}/{job_id}")).status_code == 403
    assert (await account.client.post(f"{JOBS}/{job_id}/redrive")).status_code == 403
    assert (await platform.anonymous(tenant).get(JOBS)).status_code == 401


async def test_a_list_is_paged_from_new_to_old_and_filtered(platform: TestPlatform, operator: Account):
    tenant = await platform.tenant()
    made = [await make_job(platform, tenant, state) for state in ("dead", "parked", "dead", "dead", "succeeded")]
    await make_job(platform, tenant, plugin="other", name="other.thing")
    query: dict[str, Any] = {"tenant_id": str(tenant), "plugin": "probe", "limit": 2}
    seen: list[str] = []
    while True:
        page = (await operator.client.get(JOBS, params=query)).json()
        seen += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [str(job_id) for job_id in reversed(made)]
    dead = (await operator.client.get(JOBS, params={"tenant_id": str(tenant), "state": "dead"})).json()["items"]
    assert [job["state"] for job in dead] == ["dead"] * 4
    named = (await operator.client.get(JOBS, params={"tenant_id": str(tenant), "name": "other.thing"})).json()["items"]
    assert [job["plugin"] for job in named] == ["other"]


@pytest.mark.parametrize("query", ["state=odd", "tenant_id=x", "cursor=%7B%7D", "limit=0", "name=%00"])
async def test_filters_that_make_no_sense_are_refused(operator: Account, query: str):
    assert (await operator.client.get(f"{JOBS}?{query}")).status_code in (400, 422)


async def test_a_dead_job_is_run_again_with_all_its_attempts_and_that_is_audited(
    platform: TestPlatform, operator: Account
):
    elsewhere = await platform.tenant()
    job_id = await make_job(platform, elsewhere)
    response = await operator.client.post(f"{JOBS}/{job_id}/redrive")
    assert response.status_code == 200
    assert (response.json()["state"], response.json()["attempts"]) == ("queued", 0)
    assert response.json()["finished_at"] is None
    async with platform.runtime.database.system_transaction() as connection:
        entry = await connection.fetchrow(
            "SELECT * FROM kernel_audit_entries WHERE object_type = 'job' AND object_id = $1", str(job_id)
        )
    assert (entry["action"], entry["tenant_id"], entry["actor_id"]) == (
        "kernel:job.redrive",
        operator.tenant_id,
        operator.id,
    )
    assert str(elsewhere) in entry["after"]


@pytest.mark.parametrize("state", ["queued", "sent", "running", "parked", "succeeded"])
async def test_only_a_dead_job_is_run_again(platform: TestPlatform, operator: Account, state: str):
    job_id = await make_job(platform, operator.tenant_id, state)
    response = await operator.client.post(f"{JOBS}/{job_id}/redrive")
    assert (response.status_code, response.json()["code"]) == (409, "jobs.not_dead")


async def test_a_dead_job_waits_for_a_newer_one_with_its_dedupe_key(platform: TestPlatform, operator: Account):
    tenant = await platform.tenant()
    job_id = await make_job(platform, tenant, dedupe_key="k")
    await make_job(platform, tenant, "queued", dedupe_key="k")
    response = await operator.client.post(f"{JOBS}/{job_id}/redrive")
    assert (response.status_code, response.json()["code"]) == (409, "jobs.dedupe_key_held")


async def test_a_job_that_is_not_there_is_not_found(operator: Account):
    for answer in (
        await operator.client.get(f"{JOBS}/{new_id()}"),
        await operator.client.post(f"{JOBS}/{new_id()}/redrive"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "jobs.not_found")


async def test_whoever_has_logged_out_runs_nothing_again(platform: TestPlatform, operator: Account):
    job_id = await make_job(platform, operator.tenant_id)
    assert (await operator.client.post("/api/v1/auth/logout")).status_code == 204
    assert (await operator.client.post(f"{JOBS}/{job_id}/redrive")).status_code == 401
    # Also where the request was under way when the session ended: the transaction asks for itself.
    context = WorkContext(platform.runtime, platform.registry, operator.principal, "test")
    with pytest.raises(asyncpg.PostgresError) as refused:
        await JobService(context).redrive(job_id)
    assert getattr(refused.value, "sqlstate", None) == "PB401"
    async with platform.runtime.database.system_transaction() as connection:
        assert await connection.fetchval("SELECT state FROM kernel_jobs WHERE id = $1", job_id) == "dead"
