"""Tenants as operators manage them."""

import asyncio
from uuid import UUID

import asyncpg
import msgspec
import pytest
from pegboard.config.model import Config
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.markets import market_of
from pegboard.jobs.sweeps import revive_parked
from pegboard.runtime import Runtime
from pegboard.tenancy.directory import Tenants
from pegboard.web.problems import to_domain_error
from pegboard.work import transact
from pegboard_sdk.ids import new_id

from tests.kernel.tenancy.conftest import Town
from tests.kernel.tenancy.factories import ORGANISATIONS, TENANTS, code
from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, TestPlatform

NEW = "another correct horse"


def slug() -> str:
    return f"m-{new_id().hex[-12:]}"


async def test_a_tenant_begins_with_an_administrator_who_chooses_their_password(town: Town, mailbox: Mailbox) -> None:
    name, email = slug(), f"{new_id().hex}@example.com"
    body = {"slug": name, "name": "Second", "administrator_email": email, "administrator_name": "Grace"}

    made = await town.operator.client.post(TENANTS, json=body)

    assert made.status_code == 201, made.text
    tenant = made.json()["id"]
    assert (made.json()["status"], made.json()["hosts"]) == ("active", [])
    host = f"{name}.example"
    await town.operator.client.put(f"{TENANTS}/{tenant}/hosts/{host}", json={})
    await town.platform.drain()
    at = town.at(host)
    reset = await at.post("/api/v1/auth/password/reset", json={"token": mailbox.token(email), "password": NEW})
    assert reset.status_code < 300, reset.text
    pair = (await at.post("/api/v1/auth/login", json={"email": email, "password": NEW})).json()
    accounts = await town.at(host, authorization=f"Bearer {pair['access_token']}").get("/api/v1/admin/accounts")
    assert [(one["email"], one["roles"]) for one in accounts.json()["items"]] == [(email, ["administrator", "member"])]
    # And no operator: what is the platform's stays the platform's.
    refused = await town.at(host, authorization=f"Bearer {pair['access_token']}").get(TENANTS)
    assert code(refused) == "forbidden"


async def test_short_names_are_unique(town: Town) -> None:
    name = slug()
    body = {"slug": name, "name": "One", "administrator_email": f"{new_id().hex}@example.com"}

    answers = await asyncio.gather(*(town.operator.client.post(TENANTS, json=body) for _ in range(4)))

    assert sorted(code(one) for one in answers) == ["201", *["tenant.slug_taken"] * 3]


async def test_one_key_makes_one_tenant(town: Town) -> None:
    body = {"slug": slug(), "name": "One", "administrator_email": f"{new_id().hex}@example.com"}
    key = {"Idempotency-Key": new_id().hex}

    first = await town.operator.client.post(TENANTS, json=body, headers=key)
    again = await town.operator.client.post(TENANTS, json=body, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


async def test_renaming_is_based_on_what_was_read(town: Town) -> None:
    path = f"{TENANTS}/{await town.platform.tenant()}"
    etag = (await town.operator.client.get(path)).headers["ETag"]

    assert (await town.operator.client.patch(path, json={"name": "New"})).status_code == 428
    renamed = await town.operator.client.patch(path, json={"name": "New"}, headers={"If-Match": etag})
    assert renamed.json()["name"] == "New"
    assert (await town.operator.client.patch(path, json={"name": "X"}, headers={"If-Match": etag})).status_code == 412


async def test_a_suspended_tenant_answers_nothing_until_it_goes_on(town: Town) -> None:
    tenant, host = await town.platform.tenant(), f"{slug()}.example"
    await town.operator.client.put(f"{TENANTS}/{tenant}/hosts/{host}", json={})
    ada = await town.platform.account(tenant)
    ada.client.headers["host"] = host

    path = f"{TENANTS}/{tenant}"
    assert (await town.operator.client.post(f"{path}/suspend", json={"reason": "unpaid"})).status_code == 200
    log_in = {"email": ada.email, "password": PASSWORD}
    for answer in (
        await ada.client.get(ORGANISATIONS),
        await ada.client.post(ORGANISATIONS, json={"type": "agency", "name": "Acme"}),
        await town.at(host).post("/api/v1/auth/login", json=log_in),
        await town.at("x", address="127.0.0.1", x_tenant=str(tenant)).post("/api/v1/auth/login", json=log_in),
    ):
        assert (answer.status_code, code(answer)) == (403, "tenant.suspended")

    assert (await town.operator.client.post(f"{path}/resume")).json()["status"] == "active"
    assert (await ada.client.get(ORGANISATIONS)).status_code == 200


async def test_a_write_is_refused_before_this_process_hears_of_it(town: Town) -> None:
    """As when another process has just suspended the tenant: the transaction's first statement says so."""
    tenant = await town.platform.tenant()
    ada = await town.platform.account(tenant)
    async with town.platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_tenants SET status = 'suspended' WHERE id = $1", tenant)

    with pytest.raises(asyncpg.PostgresError) as refused:
        async with town.platform.work(ada):
            pytest.fail("it was not refused")
    assert to_domain_error(refused.value, request_id="r").code == "tenant.suspended"


async def test_its_jobs_are_parked_and_go_on_later(town: Town) -> None:
    tenant = await town.platform.tenant()
    ada = await town.platform.account(tenant)
    forgotten = {"email": ada.email}
    at = town.at("internal.example", address="127.0.0.1", x_tenant=str(tenant))
    assert (await at.post("/api/v1/auth/password/forgotten", json=forgotten)).status_code < 300
    await town.operator.client.post(f"{TENANTS}/{tenant}/suspend", json={"reason": "unpaid"})

    await town.platform.drain()
    assert await job_states(town.platform, tenant) == ["parked"]
    names = sorted(town.platform.registry.jobs)
    await revive_parked(town.platform.runtime.database.system, names)
    assert await job_states(town.platform, tenant) == ["parked"]

    await town.operator.client.post(f"{TENANTS}/{tenant}/resume")
    await revive_parked(town.platform.runtime.database.system, names)
    await town.platform.drain()
    assert set(await job_states(town.platform, tenant)) == {"succeeded"}


async def job_states(platform: TestPlatform, tenant: UUID) -> list[str]:
    async with platform.runtime.database.system_reader() as connection:
        rows = await connection.fetch("SELECT state FROM kernel_jobs WHERE tenant_id = $1", tenant)
    return [row["state"] for row in rows]


async def test_the_operators_own_tenant_is_not_suspended(town: Town) -> None:
    answer = await town.operator.client.post(f"{TENANTS}/{DEFAULT_TENANT}/suspend", json={"reason": "oops"})
    assert (answer.status_code, code(answer)) == (409, "tenant.default_stays")


async def test_a_host_name_is_one_tenants(town: Town) -> None:
    host = f"{slug()}.example"
    paths = [f"{TENANTS}/{tenant}/hosts/{host}" for tenant in (town.a, town.b)]

    answers = await asyncio.gather(*(town.operator.client.put(path, json={}) for path in paths))

    assert sorted(code(one) for one in answers) == ["200", "tenant.host_taken"]
    winner = next(path for path, one in zip(paths, answers, strict=True) if one.status_code == 200)
    for _ in range(2):
        assert (await town.operator.client.delete(winner)).status_code == 204
    assert (await town.at(host).get("/api/v1/auth/me")).status_code == 421


async def test_one_host_name_is_canonical(town: Town) -> None:
    tenant, names = await town.platform.tenant(), [f"{slug()}.example" for _ in range(3)]
    path = f"{TENANTS}/{tenant}/hosts"

    async def canonical() -> list[str]:
        hosts = (await town.operator.client.get(f"{TENANTS}/{tenant}")).json()["hosts"]
        return [one["host"] for one in hosts if one["canonical"]]

    for name in names:
        await town.operator.client.put(f"{path}/{name}", json={})
    assert await canonical() == names[:1]
    await town.operator.client.put(f"{path}/{names[2]}", json={"canonical": True})
    assert await canonical() == names[2:]
    await town.operator.client.delete(f"{path}/{names[2]}")
    assert await canonical() == names[:1]


async def test_other_processes_know_within_the_feed(town: Town) -> None:
    runtime = await Runtime.open(town.platform.config, pool_size=2)
    try:
        tenants: Tenants = runtime.authenticator.tenants
        await runtime.authenticator.revocations.ensure()
        assert tenants.hosts[town.host_a] == town.a
        fresh, host = await town.platform.tenant(), f"{slug()}.example"
        await town.operator.client.put(f"{TENANTS}/{fresh}/hosts/{host}", json={})
        await town.operator.client.post(f"{TENANTS}/{fresh}/suspend", json={"reason": "x"})
        runtime.authenticator.revocations.as_of = float("-inf")
        await runtime.authenticator.revocations.ensure()
        assert (tenants.hosts[host], tenants.is_suspended(fresh)) == (fresh, True)
        # A name that moves leads to its new tenant, whichever of the two is read first.
        await town.operator.client.delete(f"{TENANTS}/{fresh}/hosts/{host}")
        await town.operator.client.put(f"{TENANTS}/{town.b}/hosts/{host}", json={})
        runtime.authenticator.revocations.as_of = float("-inf")
        await runtime.authenticator.revocations.ensure()
        assert tenants.hosts[host] == town.b
    finally:
        await runtime.close()


async def test_who_is_no_operator_manages_none(town: Town) -> None:
    boss = await town.platform.account(town.a, ("member", "administrator"))
    boss.client.headers["host"] = town.host_a
    for method, tail, body in (
        ("GET", "", None),
        ("GET", f"/{town.a}", None),
        ("POST", "", {}),
        ("PATCH", f"/{town.a}", {}),
        ("POST", f"/{town.b}/suspend", {}),
        ("PUT", f"/{town.a}/hosts/x.example", {}),
        ("DELETE", f"/{town.b}/hosts/{town.host_b}", None),
    ):
        answer = await boss.client.request(method, TENANTS + tail, json=body)
        assert (answer.status_code, code(answer)) == (403, "forbidden"), (method, tail)


async def test_the_first_host_name_does_not_lock_the_operator_out(platform: TestPlatform, config: Config) -> None:
    assert config.http.public_url == ""
    operator = await platform.account(DEFAULT_TENANT, ("member", "operator"))

    answer = await operator.client.put(f"{TENANTS}/{await platform.tenant()}/hosts/first.example", json={})

    assert (answer.status_code, code(answer)) == (409, "conflict")


@pytest.mark.parametrize("host", ["192.0.2.1", "https:%2F%2Fx.example", "x.example:80", "a..b"])
async def test_what_is_no_host_name_is_refused(town: Town, host: str) -> None:
    answer = await town.operator.client.put(f"{TENANTS}/{town.a}/hosts/{host}", json={})
    assert answer.status_code in (404, 422), answer.text


async def test_messages_link_to_the_canonical_host_name(town: Town) -> None:
    config = town.platform.config
    linked = msgspec.structs.replace(config, mail=msgspec.structs.replace(config.mail, link="https://{host}/#{token}"))
    runtime = await Runtime.open(linked, pool_size=2)
    try:
        for tenant, host in ((town.a, town.host_a), (DEFAULT_TENANT, town.own_host)):
            async with transact(runtime, town.platform.registry, town.platform.system(tenant), "r") as work:
                assert (await market_of(work)).link == f"https://{host}/#{{token}}"
    finally:
        await runtime.close()
