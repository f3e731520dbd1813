"""What operators do with marketplaces, and people with organisations."""

from typing import Any

import httpx
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard_sdk.ids import new_id

from tests.contracts.acts.site import Acts, Site
from tests.kernel.tenancy.factories import ORGANISATIONS, TENANTS, invited_token, make_organisation, organisation_with
from tests.support.fleet import until
from tests.support.platform import Account

__all__ = ("ACTS",)

INVITATIONS = "/api/v1/organisation-invitations"
ALL_ORGANISATIONS = "/api/v1/admin/organisations"
ANY = {"If-Match": "*"}


async def create_tenant(site: Site) -> httpx.Response:
    body = {"slug": f"t-{new_id().hex}", "name": "Shop", "administrator_email": f"{new_id().hex}@example.com"}
    return await (await site.operator()).client.post(TENANTS, json=body)


async def rename_tenant(site: Site) -> httpx.Response:
    path = f"{TENANTS}/{await site.platform.tenant()}"
    return await (await site.operator()).client.patch(path, json={"name": "Another"}, headers=ANY)


async def suspend_tenant(site: Site) -> httpx.Response:
    path = f"{TENANTS}/{await site.platform.tenant()}/suspend"
    return await (await site.operator()).client.post(path, json={"reason": "unpaid"})


async def resume_tenant(site: Site) -> httpx.Response:
    boss, path = await site.operator(), f"{TENANTS}/{await site.platform.tenant()}"
    await boss.client.post(f"{path}/suspend", json={"reason": "unpaid"})
    return await boss.client.post(f"{path}/resume")


async def with_host(site: Site) -> tuple[httpx.Response, httpx.Response]:
    """What was answered when a host name was given to a marketplace, and when it was taken away again.

    Once there are host names, others lead nowhere, so the default marketplace has the tests' own meanwhile.
    """
    boss = await site.platform.account(DEFAULT_TENANT, ("member", "operator"))
    own, path = f"{TENANTS}/{DEFAULT_TENANT}/hosts/platform.test", f"{TENANTS}/{site.tenant}/hosts/shop.example.com"
    await boss.client.put(own, json={"canonical": True})
    named = await boss.client.put(path, json={"canonical": True})
    removed = await boss.client.delete(path)
    await boss.client.delete(own)
    ada = await site.member()

    async def all_lead_here() -> bool:
        return (await ada.client.get("/api/v1/auth/me")).status_code == 200

    await until(all_lead_here)
    return named, removed


async def name_host(site: Site) -> httpx.Response:
    return (await with_host(site))[0]


async def remove_host(site: Site) -> httpx.Response:
    return (await with_host(site))[1]


async def owned(site: Site, **members: Account) -> tuple[Account, str]:
    """Who owns an organisation with members by role, and its path."""
    ada = await site.member()
    path, _ = await organisation_with(site.platform, site.mailbox, ada, **members)
    return ada, path


async def create_organisation(site: Site) -> httpx.Response:
    return await (await site.member()).client.post(ORGANISATIONS, json={"type": "agency", "name": "Acme"})


async def edit_organisation(site: Site) -> httpx.Response:
    ada, path = await owned(site)
    return await ada.client.patch(path, json={"name": "Acme & Co"}, headers=ANY)


async def delete_organisation(site: Site) -> httpx.Response:
    ada, path = await owned(site)
    return await ada.client.delete(path)


async def edit_member(site: Site) -> httpx.Response:
    bob = await site.member()
    ada, path = await owned(site, member=bob)
    return await ada.client.put(f"{path}/members/{bob.id}", json={"role": "manager"})


async def remove_member(site: Site) -> httpx.Response:
    bob = await site.member()
    ada, path = await owned(site, member=bob)
    return await ada.client.delete(f"{path}/members/{bob.id}")


async def leave(site: Site) -> httpx.Response:
    bob = await site.member()
    _, path = await owned(site, member=bob)
    return await bob.client.post(f"{path}/leave")


async def transfer(site: Site) -> httpx.Response:
    bob = await site.member()
    ada, path = await owned(site, member=bob)
    return await ada.client.post(f"{path}/transfer", json={"account_id": str(bob.id)})


async def invite(site: Site) -> httpx.Response:
    ada, path = await owned(site)
    return await ada.client.post(f"{path}/invitations", json={"email": f"{new_id().hex}@example.com"})


async def invited(site: Site) -> tuple[Account, str]:
    """Who invited somebody, and the invitation's path."""
    ada, path = await owned(site)
    sent = await ada.client.post(f"{path}/invitations", json={"email": f"{new_id().hex}@example.com"})
    return ada, f"{path}/invitations/{sent.json()['id']}"


async def invite_again(site: Site) -> httpx.Response:
    ada, path = await invited(site)
    return await ada.client.post(f"{path}/resend")


async def revoke_invitation(site: Site) -> httpx.Response:
    ada, path = await invited(site)
    return await ada.client.delete(path)


async def answer_invitation(site: Site, verb: str) -> httpx.Response:
    ada, path = await owned(site)
    bob = await site.member()
    token = await invited_token(site.platform, site.mailbox, ada, path, bob.email)
    return await bob.client.post(f"{INVITATIONS}/{verb}", json={"token": token})


async def accept_invitation(site: Site) -> httpx.Response:
    return await answer_invitation(site, "accept")


async def decline_invitation(site: Site) -> httpx.Response:
    return await answer_invitation(site, "decline")


async def suspend_organisation(site: Site) -> httpx.Response:
    made: Any = await make_organisation(await site.member())
    path = f"{ALL_ORGANISATIONS}/{made['id']}/suspend"
    return await (await site.administrator()).client.post(path, json={"reason": "complaints"})


async def resume_organisation(site: Site) -> httpx.Response:
    made: Any = (await suspend_organisation(site)).json()
    return await (await site.administrator()).client.post(f"{ALL_ORGANISATIONS}/{made['id']}/resume")


ACTS: Acts = {
    "POST /api/v1/admin/tenants": create_tenant,
    "PATCH /api/v1/admin/tenants/{tenant_id}": rename_tenant,
    "POST /api/v1/admin/tenants/{tenant_id}/suspend": suspend_tenant,
    "POST /api/v1/admin/tenants/{tenant_id}/resume": resume_tenant,
    "PUT /api/v1/admin/tenants/{tenant_id}/hosts/{host}": name_host,
    "DELETE /api/v1/admin/tenants/{tenant_id}/hosts/{host}": remove_host,
    "POST /api/v1/organisations": create_organisation,
    "PATCH /api/v1/organisations/{organisation_id}": edit_organisation,
    "DELETE /api/v1/organisations/{organisation_id}": delete_organisation,
    "PUT /api/v1/organisations/{organisation_id}/members/{account_id}": edit_member,
    "DELETE /api/v1/organisations/{organisation_id}/members/{account_id}": remove_member,
    "POST /api/v1/organisations/{organisation_id}/leave": leave,
    "POST /api/v1/organisations/{organisation_id}/transfer": transfer,
    "POST /api/v1/organisations/{organisation_id}/invitations": invite,
    "POST /api/v1/organisations/{organisation_id}/invitations/{invitation_id}/resend": invite_again,
    "DELETE /api/v1/organisations/{organisation_id}/invitations/{invitation_id}": revoke_invitation,
    "POST /api/v1/organisation-invitations/accept": accept_invitation,
    "POST /api/v1/organisation-invitations/decline": decline_invitation,
    "POST /api/v1/admin/organisations/{organisation_id}/suspend": suspend_organisation,
    "POST /api/v1/admin/organisations/{organisation_id}/resume": resume_organisation,
}
