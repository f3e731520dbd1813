"""Organisations: who makes one owns it, who is no member learns nothing of it, and somebody always owns it."""

import asyncio
from uuid import UUID

import pytest
from pegboard.tenancy.events import MemberLeft, OrganisationCreated
from pegboard.tenancy.permissions import ORGANISATION_DELETE, ORGANISATION_EDIT, ORGANISATION_READ
from pegboard_sdk.errors import Forbidden, NotFound
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import Organisations

from tests.kernel.authorization.factories import edit
from tests.kernel.tenancy.factories import ORGANISATIONS, code, make_organisation, organisation_with
from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform

ADMIN = "/api/v1/admin/organisations"


async def event_names(platform: TestPlatform, tenant: UUID) -> list[str]:
    async with platform.runtime.database.system_reader() as connection:
        rows = await connection.fetch(
            "SELECT name FROM kernel_events WHERE tenant_id = $1 AND name LIKE 'kernel.%' ORDER BY id", tenant
        )
    return [row["name"] for row in rows]


async def test_who_makes_an_organisation_owns_it(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)

    made = await make_organisation(ada, type="company", name="Lovelace Ltd", website="https://lovelace.example")

    assert (made["type"], made["role"], made["status"]) == ("company", "owner", "active")
    listed = (await ada.client.get(ORGANISATIONS)).json()
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    members = (await ada.client.get(f"{ORGANISATIONS}/{made['id']}/members")).json()["items"]
    assert [(one["account_id"], one["role"]) for one in members] == [(str(ada.id), "owner")]
    assert await event_names(platform, tenant) == [OrganisationCreated.name]


async def test_who_is_no_member_learns_nothing_of_it(platform: TestPlatform, tenant: UUID) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path = f"{ORGANISATIONS}/{(await make_organisation(ada))['id']}"
    unknown = f"{ORGANISATIONS}/{new_id()}"

    for method, tail, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "Mine"}),
        ("DELETE", "", None),
        ("GET", "/members", None),
        ("PUT", f"/members/{ada.id}", {"role": "member"}),
        ("DELETE", f"/members/{ada.id}", None),
        ("POST", "/leave", None),
        ("POST", "/transfer", {"account_id": str(bob.id)}),
        ("GET", "/invitations", None),
        ("POST", "/invitations", {"email": "eve@example.com"}),
    ):
        answers = [
            await bob.client.request(method, one + tail, json=body, headers={"If-Match": "*"})
            for one in (path, unknown)
        ]
        assert [code(one) for one in answers] == ["organisation.not_found"] * 2, (method, tail)
        assert answers[0].json()["detail"] == answers[1].json()["detail"]


async def test_a_role_grants_what_the_matrix_says_and_only_there(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada, member=bob)

    refused = await bob.client.patch(path, json={"name": "Mine"}, headers={"If-Match": "*"})
    assert code(refused) == "organisation.not_granted"

    boss = await platform.account(tenant, ("member", "administrator"))
    assert (await edit(boss, ("organisation_member", ORGANISATION_EDIT, True))).status_code == 200
    edited = await bob.client.patch(path, json={"name": "Ours"}, headers={"If-Match": "*"})
    assert (edited.status_code, edited.json()["name"]) == (200, "Ours")


async def test_an_edit_is_based_on_what_was_read(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    path = f"{ORGANISATIONS}/{(await make_organisation(ada))['id']}"
    etag = (await ada.client.get(path)).headers["ETag"]

    assert (await ada.client.patch(path, json={"name": "Second"})).status_code == 428
    assert (await ada.client.patch(path, json={"name": "Second"}, headers={"If-Match": etag})).status_code == 200
    assert (await ada.client.patch(path, json={"name": "Third"}, headers={"If-Match": etag})).status_code == 412


async def test_the_last_owner_stays(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada, manager=bob)

    assert code(await ada.client.post(f"{path}/leave")) == "organisation.last_owner"
    assert code(await ada.client.put(f"{path}/members/{ada.id}", json={"role": "member"})) == "organisation.last_owner"
    assert code(await ada.client.delete(f"{path}/members/{ada.id}")) == "organisation.last_owner"

    assert (await ada.client.post(f"{path}/transfer", json={"account_id": str(bob.id)})).status_code == 204
    assert (await ada.client.get(path)).json()["role"] == "manager"
    assert (await ada.client.post(f"{path}/leave")).status_code == 204
    assert code(await ada.client.get(path)) == "organisation.not_found"
    assert MemberLeft.name in await event_names(platform, tenant)


async def test_of_two_last_owners_who_leave_at_once_one_stays(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada, bob = await platform.account(tenant), await platform.account(tenant)
    path, _ = await organisation_with(platform, mailbox, ada, owner=bob)

    answers = await asyncio.gather(*(one.client.post(f"{path}/leave") for one in (ada, bob)))

    assert sorted(code(one) for one in answers if one.status_code != 204) == ["organisation.last_owner"]


async def test_a_manager_gives_no_more_than_they_hold(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob, cat = [await platform.account(tenant) for _ in range(3)]
    path, _ = await organisation_with(platform, mailbox, ada, manager=bob, member=cat)

    held = "authorization.not_held"
    assert code(await bob.client.put(f"{path}/members/{cat.id}", json={"role": "owner"})) == held
    assert code(await bob.client.put(f"{path}/members/{ada.id}", json={"role": "member"})) == held
    assert code(await bob.client.delete(f"{path}/members/{ada.id}")) == held
    invite = {"email": "dan@example.com", "role": "owner"}
    assert code(await bob.client.post(f"{path}/invitations", json=invite)) == held
    unknown = await bob.client.put(f"{path}/members/{cat.id}", json={"role": "emperor"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/role")
    assert (await bob.client.put(f"{path}/members/{cat.id}", json={"role": "manager"})).status_code == 204


async def test_nobody_acts_for_a_suspended_organisation(platform: TestPlatform, tenant: UUID) -> None:
    ada, boss = await platform.account(tenant), await platform.account(tenant, ("member", "administrator"))
    made = await make_organisation(ada)
    path = f"{ORGANISATIONS}/{made['id']}"

    suspended = await boss.client.post(f"{ADMIN}/{made['id']}/suspend", json={"reason": "complaints"})
    assert suspended.json()["status"] == "suspended"
    invite = await ada.client.post(f"{path}/invitations", json={"email": "dan@example.com"})
    assert code(invite) == "organisation.suspended"
    assert (await ada.client.get(path)).status_code == 200

    await boss.client.post(f"{ADMIN}/{made['id']}/resume")
    assert (await ada.client.post(f"{path}/invitations", json={"email": "dan@example.com"})).status_code == 201
    assert code(await ada.client.post(f"{ADMIN}/{made['id']}/suspend", json={"reason": "mine"})) == "forbidden"


async def test_what_is_deleted_is_nobodys(platform: TestPlatform, tenant: UUID) -> None:
    ada, boss = await platform.account(tenant), await platform.account(tenant, ("member", "administrator"))
    path = f"{ORGANISATIONS}/{(await make_organisation(ada))['id']}"

    assert (await ada.client.delete(path)).status_code == 204

    assert code(await ada.client.get(path)) == "organisation.not_found"
    assert (await ada.client.get(ORGANISATIONS)).json()["items"] == []
    assert (await boss.client.get(ADMIN)).json()["items"] == []


async def test_lists_go_on_where_they_stopped(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    made = [(await make_organisation(ada, name=f"Acme {number}"))["id"] for number in range(5)]

    seen, cursor = list[str](), None
    while True:
        page = (
            await ada.client.get(ORGANISATIONS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_plugins_ask_for_an_organisations_sake(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada, bob, eve = [await platform.account(tenant) for _ in range(3)]
    _, made = await organisation_with(platform, mailbox, ada, member=bob)
    organisation, service = UUID(made["id"]), platform.registry.services[Organisations]

    async with platform.work(ada) as work:
        assert (await service.require(work, organisation, ORGANISATION_DELETE)).name == "Acme"
        assert (await service.membership(work, organisation, bob.id)).role == "member"
        assert await service.membership(work, organisation, eve.id) is None
        assert [one.role for one in await service.memberships(work, ada.id)] == ["owner"]
    async with platform.work(bob) as work:
        await service.require(work, organisation, ORGANISATION_READ)
        with pytest.raises(Forbidden):
            await service.require(work, organisation, ORGANISATION_DELETE)
    async with platform.work(eve) as work:
        with pytest.raises(NotFound):
            await service.require(work, organisation, ORGANISATION_READ)
    async with platform.work(platform.system(await platform.tenant())) as work:
        with pytest.raises(NotFound):
            await service.get(work, organisation)
