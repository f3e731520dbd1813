"""Sensitive actions need a proof of who one is that is fresh."""

import time
from uuid import UUID

import pytest
from pegboard.identity.errors import StepUpRequired
from pegboard.identity.sessions import ProvenSession, SessionService
from pegboard_sdk.access import Principal
from pegboard_sdk.http import get

from tests.support.platform import PASSWORD, Account, TestPlatform

AUTH = "/api/v1/auth"
CHANGE = {"email": "new@example.com"}


async def grown_old(platform: TestPlatform, account: Account) -> Account:
    """The account with a token of its session whose proof is an hour old."""
    principal = account.principal
    assert principal.session_id is not None
    old = int(time.time()) - 3600
    async with platform.work(platform.system(account.tenant_id)) as work:
        await work.execute(
            "UPDATE kernel_sessions SET authenticated_at = to_timestamp($2) WHERE id = $1", principal.session_id, old
        )
    session = ProvenSession(
        session_id=principal.session_id,
        account_id=account.id,
        tenant_id=account.tenant_id,
        roles=["member"],
        authenticated_at=old,
        methods=["pwd"],
    )
    account.client.headers["authorization"] = f"Bearer {SessionService(platform.runtime).sign(session)}"
    return account


async def test_an_old_proof_is_refused_and_a_new_one_lets_through(platform: TestPlatform, tenant: UUID) -> None:
    ada = await grown_old(platform, await platform.account(tenant))
    refused = await ada.client.post(f"{AUTH}/email/change", json=CHANGE)
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.step_up_required")
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_user_authentication", max_age=300'

    proven = await ada.client.post(f"{AUTH}/step-up", json={"password": PASSWORD})
    assert proven.status_code == 200, proven.text
    assert proven.headers["cache-control"] == "no-store"
    assert proven.json().keys() == {"access_token", "expires_in"}
    still = await ada.client.post(f"{AUTH}/email/change", json=CHANGE)
    assert still.status_code == 401, "the old token's proof stays old"
    ada.client.headers["authorization"] = f"Bearer {proven.json()['access_token']}"
    assert (await ada.client.post(f"{AUTH}/email/change", json=CHANGE)).status_code == 202


async def test_a_refresh_carries_the_last_proof(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    pair = await platform.anonymous(tenant).post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD})
    ada.client.headers["authorization"] = f"Bearer {pair.json()['access_token']}"
    tokens = platform.runtime.authenticator.tokens
    first = await tokens.verify(pair.json()["access_token"])
    assert first.auth_time is not None
    assert time.time() - first.auth_time < 60
    assert first.amr == ["pwd"]
    async with platform.work(platform.system(tenant)) as work:
        await work.execute(
            "UPDATE kernel_sessions SET authenticated_at = to_timestamp($2), methods = '{pwd,otp}' WHERE id = $1",
            first.sid, first.auth_time - 1000,
        )  # fmt: skip
    body = {"refresh_token": pair.json()["refresh_token"]}
    refreshed = await tokens.verify(
        (await platform.anonymous(tenant).post(f"{AUTH}/refresh", json=body)).json()["access_token"]
    )
    assert (refreshed.auth_time, refreshed.amr) == (first.auth_time - 1000, ["pwd", "otp"])


async def test_a_wrong_password_proves_nothing_and_is_on_record(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    refused = await ada.client.post(f"{AUTH}/step-up", json={"password": "another password"})
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.bad_credentials")
    async with platform.work(platform.system(tenant)) as work:
        entries = await work.fetch(
            "SELECT outcome, actor_id FROM kernel_audit_entries WHERE action = 'account:session.prove'"
        )
    assert [tuple(entry) for entry in entries] == [("refused", ada.id)]


async def test_a_stolen_token_is_not_good_for_guessing(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    tries = [await ada.client.post(f"{AUTH}/step-up", json={"password": f"guess {n}"}) for n in range(11)]
    assert [one.status_code for one in tries] == [401] * 10 + [429]
    assert tries[-1].json()["code"] == "auth.locked_out"


async def test_who_never_proved_anything_is_not_fresh(platform: TestPlatform, tenant: UUID) -> None:
    """Such as an API key. The system principal isn't asked."""
    authenticator = platform.runtime.authenticator
    machine = Principal(kind="account", tenant_id=tenant, account_id=tenant)
    with pytest.raises(StepUpRequired):
        authenticator.require_fresh(machine)
    authenticator.require_fresh(platform.system(tenant))


async def test_a_token_of_the_release_before_has_no_proof(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    assert ada.principal.session_id is not None
    token = platform.runtime.authenticator.tokens.sign(
        account_id=ada.id, tenant_id=tenant, session_id=ada.principal.session_id, roles=["member"]
    )
    old = platform.client(authorization=f"Bearer {token}")
    assert (await old.get(f"{AUTH}/me")).status_code == 200
    assert (await old.post(f"{AUTH}/email/change", json=CHANGE)).json()["code"] == "auth.step_up_required"


def test_a_public_route_can_not_ask_for_a_proof() -> None:
    with pytest.raises(TypeError):
        get(public=True, fresh=True)
