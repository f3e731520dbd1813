"""Invitations: one answer each, by the account whose address they were sent to; and they tell nobody who has one."""

import asyncio
from typing import Any
from uuid import UUID

from pegboard.tenancy.invitations import MAX_SENT
from pegboard_sdk.ids import new_id

from tests.kernel.tenancy.factories import code, invited_token, organisation_with
from tests.support.mailbox import Mailbox
from tests.support.platform import Account, TestPlatform

ACCEPT = "/api/v1/organisation-invitations/accept"
DECLINE = "/api/v1/organisation-invitations/decline"
INVALID = "organisation.invitation_invalid"


async def accept(who: Account, token: str) -> Any:
    return await who.client.post(ACCEPT, json={"token": token})


async def test_who_accepts_is_a_member(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, made = await organisation_with(platform, mailbox, ada)
    token = await invited_token(platform, mailbox, ada, path, bob.email.upper().replace("EXAMPLE.COM", "example.com"))

    answer = await accept(bob, token)

    assert (answer.status_code, answer.json()["id"], answer.json()["role"]) == (200, made["id"], "member")
    listed = (await ada.client.get(f"{path}/invitations")).json()["items"]
    assert [(one["state"], one["sent"]) for one in listed] == [("accepted", 1)]
    assert token not in str(listed)


async def test_a_token_is_good_once(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada)
    token = await invited_token(platform, mailbox, ada, path, bob.email)

    answers = await asyncio.gather(*(accept(bob, token) for _ in range(5)))

    assert sorted(code(one) for one in answers) == ["200", *[INVALID] * 4]


async def test_it_is_for_the_address_that_it_was_sent_to(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada, bob, eve = [await platform.account(tenant) for _ in range(3)]
    path, _ = await organisation_with(platform, mailbox, ada)
    token = await invited_token(platform, mailbox, ada, path, bob.email)

    assert code(await accept(eve, token)) == INVALID
    assert code(await eve.client.post(DECLINE, json={"token": token})) == INVALID
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_accounts SET email_verified_at = NULL WHERE id = $1", bob.id)
    assert code(await accept(bob, token)) == INVALID
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_accounts SET email_verified_at = now() WHERE id = $1", bob.id)
    assert code(await accept(bob, token)) == "200"


async def test_it_is_for_one_marketplace(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, stranger = await platform.account(tenant), await platform.account(await platform.tenant())
    path, _ = await organisation_with(platform, mailbox, ada)

    token = await invited_token(platform, mailbox, ada, path, stranger.email)

    assert code(await accept(stranger, token)) == INVALID


async def test_what_was_declined_revoked_or_sent_anew_is_worthless(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada)
    token = await invited_token(platform, mailbox, ada, path, bob.email)
    assert (await bob.client.post(DECLINE, json={"token": token})).status_code == 204
    assert code(await accept(bob, token)) == INVALID

    token = await invited_token(platform, mailbox, ada, path, bob.email)
    invitation = (await ada.client.get(f"{path}/invitations")).json()["items"][0]["id"]
    assert (await ada.client.post(f"{path}/invitations/{invitation}/resend")).json()["sent"] == 2
    assert code(await accept(bob, token)) == INVALID
    await platform.drain()
    token = mailbox.token(bob.email)
    for _ in range(2):
        assert (await ada.client.delete(f"{path}/invitations/{invitation}")).status_code == 204
    assert code(await accept(bob, token)) == INVALID
    assert (await ada.client.post(f"{path}/invitations/{invitation}/resend")).status_code == 404


async def test_one_that_has_run_out_can_be_sent_anew(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada)
    token = await invited_token(platform, mailbox, ada, path, bob.email)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_organisation_invitations SET expires_at = now() WHERE tenant_id = $1", tenant
        )

    assert code(await accept(bob, token)) == INVALID
    listed = (await ada.client.get(f"{path}/invitations")).json()["items"]
    assert listed[0]["state"] == "expired"
    assert (await ada.client.post(f"{path}/invitations", json={"email": bob.email})).status_code == 201


async def test_who_has_an_account_is_not_told(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada, member=bob)
    shapes = []
    for email in (bob.email, f"{new_id().hex}@example.com"):  # a member, and nobody
        answer = await ada.client.post(f"{path}/invitations", json={"email": email})
        assert answer.status_code == 201, answer.text
        again = await ada.client.post(f"{path}/invitations", json={"email": email})
        ours = {name: answer.json()[name] for name in ("role", "state", "sent", "invited_by")}
        shapes.append((ours, sorted(answer.json()), code(again)))
    assert shapes[0] == shapes[1]


async def test_an_inbox_is_not_flooded(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada = await platform.account(tenant)
    email = f"{new_id().hex}@example.com"
    for _ in range(4):
        path, _ = await organisation_with(platform, mailbox, ada)
        answer = await ada.client.post(f"{path}/invitations", json={"email": email})
        invitation = answer.json()["id"]
        for _ in range(MAX_SENT - 1):
            sent = await ada.client.post(f"{path}/invitations/{invitation}/resend")
            assert sent.status_code == 200
        assert code(await ada.client.post(f"{path}/invitations/{invitation}/resend")) == (
            "organisation.too_many_invitations"
        )
    await platform.drain()
    assert len(mailbox.to(email)) == 10


async def test_its_token_is_stored_nowhere(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada)
    token = await invited_token(platform, mailbox, ada, path, bob.email)

    async with platform.runtime.database.system_reader() as connection:
        for table in ("kernel_organisation_invitations", "kernel_jobs", "kernel_events", "kernel_audit_entries"):
            rows = await connection.fetch(f"SELECT t::text AS text FROM {table} t WHERE tenant_id = $1", tenant)
            assert not [row for row in rows if token in row["text"]], table
            if table != "kernel_organisation_invitations":
                assert not [row for row in rows if bob.email in row["text"]], table
