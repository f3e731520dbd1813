"""Whose account a log-in elsewhere opens: nobody's by an address alone.

The attacks are those of "Pre-hijacked accounts" (USENIX Security 2022), and of providers where anybody can choose an
address.
"""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from pegboard.identity.accounts import AccountService
from pegboard_sdk.ids import new_id

from tests.kernel.sso.conftest import AUTH, PAGE, PROVIDERS, Site, Trip
from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, Account

IDENTITIES = f"{AUTH}/identities"


async def link(site: Site, account: Account, **claims: Any) -> tuple[Trip, httpx.Response]:
    """An account that is logged in links a log-in elsewhere."""
    trip = await site.start(account.client, app=True, path=f"{IDENTITIES}/corp/start")
    code = await trip.proven(**claims)
    return trip, await account.client.post(IDENTITIES, json={"code": code, "code_verifier": trip.verifier})


async def enter(site: Site, **claims: Any) -> httpx.Response:
    """Somebody logs in by the provider."""
    return await (await site.start(app=True)).sign_in(**claims)


async def who(site: Site, answer: httpx.Response) -> str:
    client = site.platform.client(authorization=f"Bearer {answer.json()['access_token']}")
    return (await client.get(f"{AUTH}/me")).json()["id"]


async def unproven(site: Site, email: str) -> UUID:
    """An account that somebody has registered by password, and whose address nobody has proven."""
    client = site.platform.anonymous(site.tenant)
    answer = await client.post(f"{AUTH}/register", json={"email": email, "password": PASSWORD, "display_name": "Eve"})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def log_in(site: Site, email: str) -> httpx.AsyncClient:
    client = site.platform.anonymous(site.tenant)
    answer = await client.post(f"{AUTH}/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return site.platform.client(authorization=f"Bearer {answer.json()['access_token']}")


async def test_an_account_with_the_address_is_not_entered(site: Site) -> None:
    ada = await site.platform.account(site.tenant)
    answer = await enter(site, sub="eve", email=ada.email, email_verified=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "sso.link_required")
    assert (await ada.client.get(IDENTITIES)).json() == {"items": []}
    assert (await site.reasons())[-1] == "sso: sso.link_required"


async def test_its_owner_logs_in_and_links_it(site: Site, mailbox: Mailbox) -> None:
    ada = await site.platform.account(site.tenant)
    trip = await site.start(app=True)
    code = await trip.proven(email=ada.email.upper(), email_verified=True)
    assert (await trip.exchange(code)).json()["code"] == "sso.link_required"
    client = await log_in(site, ada.email)
    body = {"code": code, "code_verifier": trip.verifier}
    linked = await client.post(IDENTITIES, json=body)
    assert linked.status_code == 201, linked.text
    assert [item["provider"] for item in linked.json()["items"]] == ["corp"]
    assert (await client.post(IDENTITIES, json=body)).json()["code"] == "sso.code_invalid"
    assert await who(site, await enter(site, email=ada.email, email_verified=True)) == str(ada.id)
    await site.platform.drain()
    assert any("another way to log in" in subject for subject in mailbox.subjects(ada.email))


async def test_somebody_else_can_not_link_what_was_proven(site: Site) -> None:
    ada, eve = await site.platform.account(site.tenant), await site.platform.account(site.tenant)
    trip = await site.start(app=True)
    code = await trip.proven(email=ada.email, email_verified=True)
    assert (await trip.exchange(code)).json()["code"] == "sso.link_required"
    answer = await eve.client.post(IDENTITIES, json={"code": code, "code_verifier": trip.verifier})
    assert (answer.status_code, answer.json()["code"]) == (400, "sso.code_invalid")


async def test_an_address_that_the_provider_has_not_checked_counts_for_nothing(site: Site) -> None:
    ada = await site.platform.account(site.tenant)
    for claims in (
        {"email": ada.email},
        {"email": ada.email, "email_verified": False},
        {"email": "new@corp.example"},
        {"email": "new@corp.example", "email_verified": "false"},
        {"email": "new@corp.example", "email_verified": 1},
        {"email": "not an address", "email_verified": True},
        {"email": ["new@corp.example"], "email_verified": True},
        {},
    ):
        answer = await enter(site, sub="eve", **claims)
        assert (answer.status_code, answer.json()["code"]) == (403, "sso.email_not_proven"), claims
    listed = await site.administrator.client.get("/api/v1/admin/accounts?email=new@corp.example")
    assert listed.json()["items"] == [], "nothing is made that could be taken later"


async def test_an_account_that_somebody_registered_in_advance_is_not_shared(site: Site) -> None:
    """Eve registers Ada's address and waits. Ada comes by her provider, which speaks for her domain even."""
    await site.provide(authoritative_domains=["corp.example"])
    await unproven(site, "ada@corp.example")
    answer = await enter(site, email="ada@corp.example", email_verified=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "sso.link_required")


async def test_nobody_links_an_identity_to_an_account_whose_address_is_not_proven(site: Site) -> None:
    """Eve registers Ada's address and links a log-in of her own, to come back after Ada has reset the password."""
    await unproven(site, "ada@corp.example")
    client = await log_in(site, "ada@corp.example")
    trip = await site.start(client, app=True, path=f"{IDENTITIES}/corp/start")
    code = await trip.proven(sub="eve", email="eve@corp.example", email_verified=True)
    answer = await client.post(IDENTITIES, json={"code": code, "code_verifier": trip.verifier})
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.email_not_verified")


async def test_an_address_that_somebody_asked_for_in_advance_is_not_taken_later(site: Site, mailbox: Mailbox) -> None:
    """Eve registers Ada's address, asks for another one, and waits for Ada to reset the password."""
    ada, eve = f"{new_id().hex}@corp.example", f"{new_id().hex}@evil.example"
    await unproven(site, ada)
    client = await log_in(site, ada)
    assert (await client.post(f"{AUTH}/email/change", json={"email": eve})).status_code == 202
    await site.platform.drain()
    waits = mailbox.token(eve)
    anonymous = site.platform.anonymous(site.tenant)
    assert (await anonymous.post(f"{AUTH}/password/forgotten", json={"email": ada})).status_code == 202
    await site.platform.drain()
    body = {"token": mailbox.token(ada), "password": "another correct horse"}
    assert (await anonymous.post(f"{AUTH}/password/reset", json=body)).status_code == 204
    answer = await anonymous.post(f"{AUTH}/email/confirm", json={"token": waits})
    assert (answer.status_code, answer.json()["code"]) == (400, "auth.one_time_token_invalid")


async def test_where_the_provider_speaks_for_the_domain_a_proven_members_account_is_entered(site: Site) -> None:
    await site.provide(authoritative_domains=["example.com"])
    ada = await site.platform.account(site.tenant)
    assert await who(site, await enter(site, email=ada.email, email_verified=True)) == str(ada.id)


async def test_more_than_a_members_account_never_is(site: Site) -> None:
    """Who may set providers up could otherwise become anybody."""
    await site.provide(authoritative_domains=["example.com"])
    for roles in (("administrator",), ("operator",)):
        boss = await site.platform.account(site.tenant, roles)
        answer = await enter(site, sub=roles[0], email=boss.email, email_verified=True)
        assert answer.json()["code"] == "sso.link_required"


async def test_a_link_is_begun_and_ended_by_one_session(site: Site) -> None:
    ada, eve = await site.platform.account(site.tenant), await site.platform.account(site.tenant)
    trip = await site.start(ada.client, app=True, path=f"{IDENTITIES}/corp/start")
    code = await trip.proven(sub="eve")
    body = {"code": code, "code_verifier": trip.verifier}
    assert (await eve.client.post(IDENTITIES, json=body)).json()["code"] == "sso.code_invalid"
    assert (await trip.exchange(code)).json()["code"] == "sso.code_invalid", "it was not begun to log in"
    assert (await ada.client.post(IDENTITIES, json=body)).status_code == 201


async def test_an_identity_is_one_accounts(site: Site) -> None:
    ada, eve = await site.platform.account(site.tenant), await site.platform.account(site.tenant)
    assert (await link(site, ada, sub="same"))[1].status_code == 201
    assert (await link(site, ada, sub="same"))[1].status_code == 201, "twice is once"
    _, answer = await link(site, eve, sub="same")
    assert (answer.status_code, answer.json()["code"]) == (409, "sso.identity_taken")


async def test_linking_wants_a_fresh_proof(site: Site) -> None:
    ada = await site.platform.account(site.tenant)
    async with site.platform.work(site.platform.system(site.tenant)) as work:
        stale = site.platform.runtime.authenticator.tokens.sign(
            account_id=ada.id,
            tenant_id=site.tenant,
            session_id=ada.principal.session_id,  # type: ignore[arg-type]  # it is logged in
            roles=["member"],
            authenticated_at=1,
            methods=["pwd"],
        )
        del work
    client = site.platform.client(authorization=f"Bearer {stale}")
    answer = await client.post(f"{IDENTITIES}/corp/start", json={"return_to": PAGE})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.step_up_required")


async def test_a_link_can_be_removed_but_not_the_last_way_in(site: Site, mailbox: Mailbox) -> None:
    ada = await site.platform.account(site.tenant)
    _, answer = await link(site, ada, sub="ada")
    [identity] = answer.json()["items"]
    assert (await ada.client.delete(f"{IDENTITIES}/{identity['id']}")).status_code == 204
    assert (await ada.client.delete(f"{IDENTITIES}/{identity['id']}")).status_code == 404
    await site.platform.drain()
    assert any("a way to log in is gone" in subject for subject in mailbox.subjects(ada.email))
    came = await enter(site, sub="grace", email="grace@corp.example", email_verified=True)
    grace = site.platform.client(authorization=f"Bearer {came.json()['access_token']}")
    [only] = (await grace.get(IDENTITIES)).json()["items"]
    kept = await grace.delete(f"{IDENTITIES}/{only['id']}")
    assert (kept.status_code, kept.json()["code"]) == (409, "sso.last_way_in")


async def test_of_two_links_removed_at_once_one_stays(site: Site) -> None:
    came = await enter(site, sub="grace", email="grace@corp.example", email_verified=True)
    grace = site.platform.client(authorization=f"Bearer {came.json()['access_token']}")
    trip = await site.start(grace, app=True, path=f"{IDENTITIES}/corp/start")
    body = {"code": await trip.proven(sub="grace-2"), "code_verifier": trip.verifier}
    items = (await grace.post(IDENTITIES, json=body)).json()["items"]
    answers = await asyncio.gather(*(grace.delete(f"{IDENTITIES}/{item['id']}") for item in items))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_a_disabled_account_stays_out(site: Site) -> None:
    came = await enter(site, sub="grace", email="grace@corp.example", email_verified=True)
    grace = await who(site, came)
    async with site.platform.work(site.platform.system(site.tenant)) as work:
        await AccountService(site.platform.runtime).set_status(work, UUID(grace), "disabled")
    answer = await enter(site, sub="grace", email="grace@corp.example", email_verified=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.account_disabled")


@pytest.mark.parametrize("times", [5])
async def test_who_comes_several_times_at_once_gets_one_account(site: Site, times: int) -> None:
    trips = [await site.start(app=True) for _ in range(times)]
    codes = [await trip.proven(email="ada@corp.example", email_verified=True) for trip in trips]
    answers = await asyncio.gather(*(trip.exchange(code) for trip, code in zip(trips, codes, strict=True)))
    for trip, code, answer in zip(trips, codes, answers, strict=True):
        if answer.status_code == 409:  # it came while the account was being made: the code is still good
            assert (await trip.exchange(code)).status_code == 200
        else:
            assert answer.status_code == 200, answer.text
    listed = await site.administrator.client.get("/api/v1/admin/accounts?email=ada@corp.example")
    assert len(listed.json()["items"]) == 1


async def test_the_list_of_providers_tells_nothing_of_accounts(site: Site) -> None:
    ada = await site.platform.account(site.tenant)
    client = site.platform.anonymous(site.tenant)
    known = await client.get(PROVIDERS, params={"domain": ada.email.partition("@")[2]})
    assert known.json() == (await client.get(PROVIDERS, params={"domain": "unknown.example"})).json()
