"""What people do with second factors."""

import base64
from typing import Any

import httpx

from tests.contracts.acts.site import Acts, Site
from tests.kernel.factors.conftest import AUTH, Person, add_passkey, add_totp
from tests.support.authenticator import Authenticator

__all__ = ("ACTS",)

FACTORS = f"{AUTH}/factors"
DEVICES = f"{AUTH}/trusted-devices"
REQUIREMENTS = "/api/v1/admin/factor-requirements"


async def with_totp(site: Site) -> Person:
    """Somebody with an authenticator app."""
    ada = Person(platform=site.platform, account=await site.member())
    await add_totp(ada)
    return ada


async def begin_totp(site: Site) -> httpx.Response:
    return await (await site.member()).client.post(f"{FACTORS}/totp")


async def confirm_totp(site: Site) -> httpx.Response:
    ada = Person(platform=site.platform, account=await site.member())
    secret = (await ada.client.post(f"{FACTORS}/totp")).json()["secret"]
    ada.seed = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return await ada.client.post(f"{FACTORS}/totp/confirm", json={"code": ada.code()})


async def remove_totp(site: Site) -> httpx.Response:
    return await (await with_totp(site)).client.delete(f"{FACTORS}/totp")


async def replace_codes(site: Site) -> httpx.Response:
    return await (await with_totp(site)).client.post(f"{FACTORS}/recovery-codes")


async def new_passkey(site: Site) -> httpx.Response:
    return await add_passkey(Person(platform=site.platform, account=await site.member()), Authenticator())


async def with_passkey(site: Site) -> tuple[Person, str]:
    """Somebody with a passkey, and its path."""
    ada = Person(platform=site.platform, account=await site.member())
    added = await add_passkey(ada, Authenticator())
    return ada, f"{FACTORS}/passkeys/{added.json()['passkey']['id']}"


async def rename_passkey(site: Site) -> httpx.Response:
    ada, path = await with_passkey(site)
    return await ada.client.patch(path, json={"label": "Blue"})


async def remove_passkey(site: Site) -> httpx.Response:
    ada, path = await with_passkey(site)
    return await ada.client.delete(path)


async def answer_challenge(site: Site) -> httpx.Response:
    ada = await with_totp(site)
    return await ada.answer(await ada.challenged(), code=ada.code())


async def step_up(site: Site) -> httpx.Response:
    ada = await with_totp(site)
    challenge: Any = (await ada.client.get(f"{AUTH}/step-up/challenge")).json()
    body = {"challenge": challenge["challenge"], "code": ada.code()}
    return await ada.client.post(f"{AUTH}/step-up/challenge", json=body)


async def with_device(site: Site) -> Person:
    """Somebody who trusts a device."""
    ada = await with_totp(site)
    client = ada.anonymous
    answer = await ada.answer(await ada.challenged(client), client, code=ada.code(), trust_device=True)
    assert answer.status_code == 200, answer.text
    return ada


async def forget_device(site: Site) -> httpx.Response:
    ada = await with_device(site)
    (device,) = (await ada.client.get(DEVICES)).json()["items"]
    return await ada.client.delete(f"{DEVICES}/{device['id']}")


async def forget_devices(site: Site) -> httpx.Response:
    return await (await with_device(site)).client.delete(DEVICES)


async def require(site: Site) -> httpx.Response:
    return await (await site.administrator()).client.put(f"{REQUIREMENTS}/finance_controller", json={"grace_days": 7})


async def require_no_more(site: Site) -> httpx.Response:
    await require(site)
    return await (await site.administrator()).client.delete(f"{REQUIREMENTS}/finance_controller")


async def reset(site: Site) -> httpx.Response:
    ada = await with_totp(site)
    return await (await site.administrator()).client.delete(f"/api/v1/admin/accounts/{ada.account.id}/factors")


ACTS: Acts = {
    "POST /api/v1/auth/factors/totp": begin_totp,
    "POST /api/v1/auth/factors/totp/confirm": confirm_totp,
    "DELETE /api/v1/auth/factors/totp": remove_totp,
    "POST /api/v1/auth/factors/recovery-codes": replace_codes,
    "POST /api/v1/auth/factors/passkeys": new_passkey,
    "PATCH /api/v1/auth/factors/passkeys/{passkey_id}": rename_passkey,
    "DELETE /api/v1/auth/factors/passkeys/{passkey_id}": remove_passkey,
    "POST /api/v1/auth/challenge": answer_challenge,
    "POST /api/v1/auth/step-up/challenge": step_up,
    "DELETE /api/v1/auth/trusted-devices": forget_devices,
    "DELETE /api/v1/auth/trusted-devices/{device_id}": forget_device,
    "PUT /api/v1/admin/factor-requirements/{role}": require,
    "DELETE /api/v1/admin/factor-requirements/{role}": require_no_more,
    "DELETE /api/v1/admin/accounts/{account_id}/factors": reset,
}
