"""Signing keys change while everybody stays logged in, in all processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.key_rotation import NextKeyPublished, SigningKeyService
from pegboard.machines.jobs import RotateSigningKeys, rotate_signing_keys
from pegboard_sdk.ids import new_id

from tests.support.fleet import until
from tests.support.platform import PASSWORD, Account, TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config

PATH = "/api/v1/admin/signing-keys"
ME = "/api/v1/auth/me"
JWKS = "/.well-known/jwks.json"


@pytest.fixture
async def fleet(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[TestPlatform, TestPlatform]]:
    """Two processes of an installation of their own."""
    url = await create_database(postgres_url, f"keys_{new_id().hex}", template=TEMPLATE)
    config = make_config(tmp_path, url, redis_url, plugins=(), PEGBOARD_AUTH__SIGNING_KEY_DAYS="30")
    running = TestPlatform(config), TestPlatform(config)
    for one in running:
        await one.start()
    yield running
    for one in running:
        await one.stop()


async def log_in(platform: TestPlatform, account: Account) -> dict[str, Any]:
    answer = await platform.anonymous(account.tenant_id).post(
        "/api/v1/auth/login", json={"email": account.email, "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def me(platform: TestPlatform, token: str) -> int:
    return (await platform.client(authorization=f"Bearer {token}").get(ME)).status_code


async def published(platform: TestPlatform) -> set[str]:
    return {key["kid"] for key in (await platform.client().get(JWKS)).json()["keys"]}


def kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


async def rotate(platform: TestPlatform, tenant: UUID, **how: Any) -> None:
    await SigningKeyService(platform.runtime).rotate(actor=platform.system(tenant), request_id=new_id().hex, **how)


async def test_nobody_is_logged_out(fleet: tuple[TestPlatform, TestPlatform]) -> None:
    here, there = fleet
    tenant = await here.tenant()
    ada = await here.account(tenant)
    old = await log_in(here, ada)
    await rotate(here, tenant, after=3)

    # The next key is published everywhere, and signs nowhere yet.
    async def known() -> bool:
        return len(await published(there)) == 2

    await until(known)
    assert await published(here) == await published(there)
    first = kid(old["access_token"])
    assert {kid((await log_in(one, ada))["access_token"]) for one in fleet} == {first}

    async def changed() -> bool:
        return {one.runtime.authenticator.keys.signing.kid for one in fleet}.isdisjoint({first})

    await until(changed)
    new = [await log_in(one, ada) for one in fleet]
    (second,) = {kid(pair["access_token"]) for pair in new}
    assert second != first
    # What either of them signed is good in both, and whoever was logged in refreshes as ever.
    for one in fleet:
        for pair in (old, *new):
            assert await me(one, pair["access_token"]) == 200
    answer = await there.anonymous(tenant).post("/api/v1/auth/refresh", json={"refresh_token": old["refresh_token"]})
    assert (answer.status_code, kid(answer.json()["access_token"])) == (200, second)
    keys = (await SigningKeyService(here.runtime).list()).items
    assert [(key.kid, key.state) for key in keys] == [(second, "signing"), (first, "verifying")]
    gone = keys[1].verifies_until
    assert gone is not None
    assert (gone - keys[0].signs_from).total_seconds() >= here.config.auth.access_ttl


async def test_a_key_leaves_when_its_last_token_has_expired(fleet: tuple[TestPlatform, TestPlatform]) -> None:
    here, there = fleet
    tenant = await here.tenant()
    ada = await here.account(tenant)
    token = (await log_in(here, ada))["access_token"]
    await rotate(here, tenant, after=0)
    assert await me(there, token) == 200
    async with here.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_signing_keys SET verifies_until = now(), changed_xid = pg_current_xact_id() WHERE kid = $1",
            kid(token),
        )

    async def gone() -> bool:
        return [await me(one, token) for one in fleet] == [401, 401]

    await until(gone)
    assert kid(token) not in await published(here) | await published(there)


async def test_what_a_compromised_key_signed_is_refused_and_nobody_is_logged_out(
    fleet: tuple[TestPlatform, TestPlatform],
) -> None:
    here, there = fleet
    tenant = await here.tenant()
    pair = await log_in(here, await here.account(tenant))
    for one in fleet:
        assert await me(one, pair["access_token"]) == 200
    await rotate(here, tenant, compromised=True)
    assert await me(here, pair["access_token"]) == 401

    async def refused() -> bool:
        return await me(there, pair["access_token"]) == 401

    await until(refused)
    answer = await there.anonymous(tenant).post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    assert answer.status_code == 200
    assert await me(here, answer.json()["access_token"]) == 200


async def test_of_many_rotations_at_once_one_is_done(fleet: tuple[TestPlatform, TestPlatform]) -> None:
    tenant = await fleet[0].tenant()
    done = await asyncio.gather(
        *(rotate(fleet[turn % 2], tenant, after=600) for turn in range(6)), return_exceptions=True
    )
    assert sum(result is None for result in done) == 1
    assert all(result is None or isinstance(result, NextKeyPublished) for result in done)
    assert len((await SigningKeyService(fleet[0].runtime).list()).items) == 2


async def test_an_old_key_is_replaced_by_schedule(fleet: tuple[TestPlatform, TestPlatform]) -> None:
    here, _ = fleet
    service = SigningKeyService(here.runtime)

    async def run() -> int:
        async with here.work(here.system(DEFAULT_TENANT)) as work:
            await rotate_signing_keys(work, RotateSigningKeys())
        return len((await service.list()).items)

    assert await run() == 1
    async with here.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_signing_keys SET signs_from = now() - interval '31 days'")
    assert [await run(), await run()] == [2, 2]


async def test_operators_rotate_keys(fleet: tuple[TestPlatform, TestPlatform]) -> None:
    here, _ = fleet
    tenant = await here.tenant()
    admin = await here.account(tenant, ("member", "administrator"))
    operator = await here.account(tenant, ("member", "administrator", "operator"))
    assert (await admin.client.post(PATH, json={})).status_code == 403
    assert (await operator.client.post(PATH, json={"after": 1})).status_code == 400
    answer: httpx.Response = await operator.client.post(PATH, json={})
    assert answer.status_code == 201, answer.text
    assert [key["state"] for key in answer.json()["items"]] == ["next", "signing"]
    assert (await operator.client.get(PATH)).json() == answer.json()
    again = await operator.client.post(PATH, json={})
    assert (again.status_code, again.json()["code"]) == (409, "auth.next_key_published")
    async with here.runtime.database.system_reader() as connection:
        entry = await connection.fetchrow(
            "SELECT actor_id, object_id FROM kernel_audit_entries"
            " WHERE action = 'kernel:signing_key.rotate' AND outcome = 'success'"
        )
    assert dict(entry) == {"actor_id": operator.id, "object_id": answer.json()["items"][0]["kid"]}
