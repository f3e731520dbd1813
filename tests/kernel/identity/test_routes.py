"""Registering, logging in, refreshing and logging out over HTTP."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard.runtime import Runtime
from pegboard_sdk.errors import Unauthorized

from tests.support.platform import PASSWORD, TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config

REGISTRATION = {"email": "Ada@Example.com", "password": PASSWORD, "display_name": "Ada"}
CREDENTIALS = {"email": "ada@example.COM", "password": PASSWORD}
AUTH = "/api/v1/auth"


async def test_register_log_in_refresh_log_out(platform: TestPlatform, tenant: UUID) -> None:
    anonymous = platform.anonymous(tenant)
    registered = await anonymous.post(f"{AUTH}/register", json=REGISTRATION)
    assert registered.status_code == 201, registered.text
    assert registered.json()["email"] == "Ada@example.com"
    assert registered.json()["roles"] == ["member"]

    pair = await anonymous.post(f"{AUTH}/login", json=CREDENTIALS)
    assert pair.status_code == 200, pair.text
    assert pair.headers["cache-control"] == "no-store"
    assert pair.json()["token_type"] == "Bearer"
    assert (pair.json()["expires_in"], pair.json()["refresh_expires_in"]) == (900, 2_592_000)
    client = platform.client(authorization=f"Bearer {pair.json()['access_token']}")
    me = await client.get(f"{AUTH}/me")
    assert me.status_code == 200
    assert me.json() == registered.json()

    second = await anonymous.post(f"{AUTH}/refresh", json={"refresh_token": pair.json()["refresh_token"]})
    assert second.status_code == 200, second.text
    assert second.headers["cache-control"] == "no-store"
    client = platform.client(authorization=f"Bearer {second.json()['access_token']}")
    assert (await client.get(f"{AUTH}/me")).json() == me.json()

    assert (await client.post(f"{AUTH}/logout")).status_code == 204
    refused = await client.get(f"{AUTH}/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.session_ended")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    refused = await anonymous.post(f"{AUTH}/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.session_ended")


async def test_a_write_of_an_ended_session_is_refused_at_once_everywhere(
    platform: TestPlatform, tenant: UUID, runtime: Runtime
) -> None:
    ada = await platform.account(tenant)
    # Another process, which doesn't know of the log-out yet: the write's own transaction finds out.
    assert await runtime.authenticator.principal(ada.token, platform.registry)
    assert (await ada.client.post(f"{AUTH}/logout")).status_code == 204
    stale = runtime.authenticator.cached(ada.token, platform.registry)
    assert stale is not None
    with pytest.raises(asyncpg.PostgresError) as caught:
        async with runtime.database.transaction(stale.tenant_id, session_id=stale.session_id):
            pass
    assert getattr(caught.value, "sqlstate", None) == "PB401"


async def test_two_devices_log_out_separately(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    pair = await platform.anonymous(tenant).post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD})
    phone = platform.client(authorization=f"Bearer {pair.json()['access_token']}")
    assert (await ada.client.post(f"{AUTH}/logout")).status_code == 204
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 401
    assert (await phone.get(f"{AUTH}/me")).status_code == 200


async def test_an_address_is_taken_in_any_case(platform: TestPlatform, tenant: UUID) -> None:
    anonymous = platform.anonymous(tenant)
    emails = ("ada@example.com", "ADA@EXAMPLE.COM", " Ada@Example.com ")
    answers = await asyncio.gather(
        *(anonymous.post(f"{AUTH}/register", json=REGISTRATION | {"email": email}) for email in emails)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"auth.email_taken"}
    elsewhere = await platform.anonymous(await platform.tenant()).post(f"{AUTH}/register", json=REGISTRATION)
    assert elsewhere.status_code == 201


async def test_a_line_break_after_the_name_is_left_out(platform: TestPlatform, tenant: UUID) -> None:
    answer = await platform.anonymous(tenant).post(f"{AUTH}/register", json=REGISTRATION | {"display_name": "Ada\n"})
    assert answer.json()["display_name"] == "Ada"


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        *(
            ("email", email, 422)
            for email in ("ada", "ada@", "@example.com", "a da@example.com", "ada@exa_mple.com", "ada@-a.com", "a@b@c",
                          "a" * 65 + "@example.com", "ada@example.com .org")
        ),
        ("email", "a" * 250 + "@example.com", 400),
        ("email", None, 400),
        ("email", "ada@example.com\n.org", 400),
        ("email", "ada\u0000@example.com", 400),
        ("password", "too short", 422),
        ("password", "Ada@Example.com", 422),
        ("password", "aaaaaaaaaaaaaaaa", 422),
        ("password", "x" * 129, 400),
        ("password", "", 400),
        ("display_name", "", 400),
        ("display_name", " ", 400),
        ("display_name", "x" * 101, 400),
        ("display_name", "A\u0000B", 400),
        ("display_name", "A\nB", 400),
        ("display_name", "B ", 400),
        ("roles", ["administrator"], 400),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_registration(
    platform: TestPlatform, tenant: UUID, field: str, value: Any, status: int
) -> None:
    answer = await platform.anonymous(tenant).post(f"{AUTH}/register", json=REGISTRATION | {field: value})
    assert answer.status_code == status, answer.text
    if status == 422:
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]


async def test_registration_can_be_closed(database_url: str, redis_url: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, database_url, redis_url, PEGBOARD_AUTH__REGISTRATION="closed")
    closed = TestPlatform(config)
    await closed.start()
    try:
        answer = await closed.anonymous(await closed.tenant()).post(f"{AUTH}/register", json=REGISTRATION)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.registration_closed")
    finally:
        await closed.stop()


@pytest.mark.parametrize("path", [f"{AUTH}/me", "/api/v1/admin/accounts"])
async def test_nobody_reads_without_logging_in(platform: TestPlatform, tenant: UUID, path: str) -> None:
    answer = await platform.anonymous(tenant).get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("token", ["x", "pgr_" + "x" * 43, "é", "x" * 129])
async def test_what_is_no_refresh_token(platform: TestPlatform, tenant: UUID, token: str) -> None:
    answer = await platform.anonymous(tenant).post(f"{AUTH}/refresh", json={"refresh_token": token})
    assert answer.status_code == (400 if len(token) > 128 else 401)


async def test_a_token_of_another_installation_is_refused(
    platform: TestPlatform, tenant: UUID, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    ada = await platform.account(tenant)
    elsewhere = await Runtime.open(
        make_config(tmp_path, database_url, redis_url, PEGBOARD_HTTP__PUBLIC_URL="https://elsewhere.example"),
        pool_size=1,
    )
    try:
        await elsewhere.authenticator.keys.load()
        with pytest.raises(Unauthorized):
            await elsewhere.authenticator.principal(ada.token, platform.registry)
    finally:
        await elsewhere.close()


async def test_processes_that_start_together_make_one_signing_key(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    url = await create_database(postgres_url, f"keys_{os.getpid()}", template=TEMPLATE)
    runtimes = [await Runtime.open(make_config(tmp_path, url, redis_url), pool_size=1) for _ in range(4)]
    try:
        await asyncio.gather(*(runtime.authenticator.keys.load() for runtime in runtimes))
        assert len({runtime.authenticator.keys.signing.kid for runtime in runtimes}) == 1
        rows = await runtimes[0].database.system.fetch("SELECT kid FROM kernel_signing_keys")
        assert len(rows) == 1
    finally:
        for runtime in runtimes:
            await runtime.close()
