"""Devices that are not asked for a second factor."""

from uuid import UUID

import httpx
from pegboard.factors.jobs import DELETE_OLD_ATTEMPTS, DeleteOldAttempts

from tests.kernel.factors.conftest import AUTH, MakePerson, Person, entries
from tests.support.platform import PASSWORD, TestPlatform


async def trusted(person: Person) -> str:
    """What a device holds that they trust."""
    answer = await person.answer(await person.challenged(), code=person.code(), trust_device=True)
    await person.forget_steps()
    return answer.json()["device_token"]


async def test_it_takes_the_second_factors_place(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person(totp=True)
    token = await trusted(ada)
    opened = await ada.log_in(device_token=token)
    assert opened.status_code == 200, opened.text
    access = await platform.runtime.authenticator.tokens.verify(opened.json()["access_token"])
    assert set(access.amr) == {"pwd", "trusted_device"}
    assert (await ada.log_in()).status_code == 202
    assert (await ada.log_in(device_token="pgd_" + "A" * 43)).status_code == 202
    bob = await person(totp=True)
    assert (await bob.log_in(device_token=token)).status_code == 202, "it is trusted by who trusts it"
    elsewhere = platform.client(authorization=f"Bearer {opened.json()['access_token']}")
    asked = await elsewhere.post(f"{AUTH}/step-up", json={"password": PASSWORD})
    assert asked.status_code == 202, "and good for no step-up"


async def test_it_is_no_fresh_proof(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person(totp=True)
    opened = await ada.log_in(device_token=await trusted(ada))
    client = platform.client(authorization=f"Bearer {opened.json()['access_token']}")
    refused = await client.delete(f"{AUTH}/factors/totp")
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.step_up_required"), (
        "though it has just logged in"
    )
    challenge = (await client.post(f"{AUTH}/step-up", json={"password": PASSWORD})).json()["challenge"]
    proved = await client.post(f"{AUTH}/step-up/challenge", json={"challenge": challenge, "code": ada.code()})
    client.headers["authorization"] = f"Bearer {proved.json()['access_token']}"
    assert (await client.delete(f"{AUTH}/factors/totp")).status_code == 204


async def test_a_browser_holds_it_in_a_cookie(person: MakePerson) -> None:
    ada = await person(totp=True)
    browser: httpx.AsyncClient = ada.anonymous
    challenge = await ada.challenged(browser)
    answer = await ada.answer(challenge, browser, code=ada.code(), trust_device=True, cookies=True)
    assert answer.status_code == 200, answer.text
    assert "device_token" not in answer.json()
    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if "pegboard_device" in line]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=2592000" in cookie
    csrf = {"x-csrf-token": answer.json()["csrf_token"]}
    assert (await browser.post(f"{AUTH}/logout", headers=csrf)).status_code == 204
    assert (await ada.log_in(browser, cookies=True)).status_code == 200, "it stays when one logs out"


async def test_they_are_listed_and_forgotten(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    ada = await person(totp=True)
    token = await trusted(ada)
    other = await trusted(ada)
    assert (await ada.log_in(device_token=token)).status_code == 200
    listed = (await ada.client.get(f"{AUTH}/trusted-devices")).json()["items"]
    assert len(listed) == 2
    assert listed[0].keys() == {"id", "user_agent", "ip", "created_at", "last_used_at", "expires_at"}
    assert listed[0]["last_used_at"] > listed[1]["last_used_at"]
    bob = await person()
    url = f"{AUTH}/trusted-devices/{listed[0]['id']}"
    assert (await bob.client.delete(url)).status_code == 404
    assert (await ada.client.delete(url)).status_code == 204
    assert (await ada.log_in(device_token=token)).status_code == 202
    assert (await ada.log_in(device_token=other)).status_code == 200
    assert (await ada.client.delete(f"{AUTH}/trusted-devices")).status_code == 204
    assert (await ada.log_in(device_token=other)).status_code == 202
    assert len(await entries(platform, tenant, "account:factor.manage")) >= 2


async def test_another_password_ends_the_trust(person: MakePerson) -> None:
    ada = await person(totp=True)
    token = await trusted(ada)
    body = {"current_password": PASSWORD, "password": "another good long password"}
    assert (await ada.client.post(f"{AUTH}/password/change", json=body)).status_code == 204
    assert (await ada.log_in(password="another good long password", device_token=token)).status_code == 202


async def test_what_is_over_goes(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    ada = await person(totp=True)
    token = await trusted(ada)
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("UPDATE kernel_trusted_devices SET expires_at = now() - interval '1 second'")
        await work.execute("UPDATE kernel_attempts SET last_at = now() - interval '2 days', locked_until = now()")
        await work.execute(
            "INSERT INTO kernel_used_challenges (tenant_id, nonce, expires_at)"
            " VALUES ($1, decode(repeat('ab', 16), 'hex'), now() - interval '2 hours')",
            tenant,
        )
    assert (await ada.log_in(device_token=token)).status_code == 202
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("UPDATE kernel_attempts SET last_at = now() - interval '2 days', locked_until = now()")
        await work.enqueue(DELETE_OLD_ATTEMPTS, DeleteOldAttempts())
    await platform.drain()
    async with platform.work(platform.system(tenant)) as work:
        for table in ("kernel_trusted_devices", "kernel_attempts"):
            assert await work.fetchval(f"SELECT count(*) FROM {table}") == 0
        assert await work.fetchval("SELECT count(*) FROM kernel_used_challenges WHERE expires_at < now()") == 0
        assert await work.fetchval("SELECT count(*) FROM kernel_totp_seeds") == 1
