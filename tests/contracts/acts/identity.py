"""What people do with accounts and sessions."""

import httpx
from pegboard_sdk.ids import new_id

from tests.contracts.acts.site import Acts, Site
from tests.support.platform import PASSWORD, Account

__all__ = ("ACTS",)

AUTH = "/api/v1/auth"
OTHER = "another correct horse"


async def register(site: Site) -> httpx.Response:
    body = {"email": f"{new_id().hex}@example.com", "password": PASSWORD, "display_name": "Grace"}
    return await site.anonymous.post(f"{AUTH}/register", json=body)


async def log_in(site: Site) -> httpx.Response:
    ada = await site.member()
    return await site.anonymous.post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD})


async def refresh(site: Site) -> httpx.Response:
    token = (await log_in(site)).json()["refresh_token"]
    return await site.anonymous.post(f"{AUTH}/refresh", json={"refresh_token": token})


async def log_out(site: Site) -> httpx.Response:
    return await (await site.member()).client.post(f"{AUTH}/logout")


async def end_session(site: Site) -> httpx.Response:
    ada = await site.member()
    return await ada.client.delete(f"{AUTH}/sessions/{ada.principal.session_id}")


async def end_other_sessions(site: Site) -> httpx.Response:
    ada = await site.member()
    await site.anonymous.post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD})
    return await ada.client.delete(f"{AUTH}/sessions")


async def step_up(site: Site) -> httpx.Response:
    return await (await site.member()).client.post(f"{AUTH}/step-up", json={"password": PASSWORD})


async def change_password(site: Site) -> httpx.Response:
    body = {"current_password": PASSWORD, "password": OTHER}
    return await (await site.member()).client.post(f"{AUTH}/password/change", json=body)


async def forget_password(site: Site) -> httpx.Response:
    ada = await site.member()
    return await site.anonymous.post(f"{AUTH}/password/forgotten", json={"email": ada.email})


async def reset_password(site: Site) -> httpx.Response:
    ada = await site.member()
    await site.anonymous.post(f"{AUTH}/password/forgotten", json={"email": ada.email})
    token = await mailed(site, ada.email)
    return await site.anonymous.post(f"{AUTH}/password/reset", json={"token": token, "password": OTHER})


async def change_email(site: Site) -> httpx.Response:
    ada = await site.member()
    return await ada.client.post(f"{AUTH}/email/change", json={"email": f"{new_id().hex}@example.com"})


async def confirm_email(site: Site) -> httpx.Response:
    ada = await site.member()
    new = f"{new_id().hex}@example.com"
    await ada.client.post(f"{AUTH}/email/change", json={"email": new})
    return await site.anonymous.post(f"{AUTH}/email/confirm", json={"token": await mailed(site, new)})


async def ask_for_verification(site: Site) -> httpx.Response:
    ada = await unverified(site)
    return await site.anonymous.post(f"{AUTH}/email/verification", json={"email": ada.email})


async def verify_email(site: Site) -> httpx.Response:
    ada = await unverified(site)
    await site.anonymous.post(f"{AUTH}/email/verification", json={"email": ada.email})
    return await site.anonymous.post(f"{AUTH}/email/verify", json={"token": await mailed(site, ada.email)})


async def set_roles(site: Site) -> httpx.Response:
    ada = await site.member()
    path = f"/api/v1/admin/accounts/{ada.id}/roles"
    return await (await site.administrator()).client.put(path, json={"roles": ["member", "administrator"]})


async def set_status(site: Site) -> httpx.Response:
    ada = await site.member()
    path = f"/api/v1/admin/accounts/{ada.id}/status"
    return await (await site.administrator()).client.put(path, json={"status": "disabled"})


async def end_account_sessions(site: Site) -> httpx.Response:
    ada = await site.member()
    return await (await site.administrator()).client.delete(f"/api/v1/admin/accounts/{ada.id}/sessions")


async def unverified(site: Site) -> Account:
    """Somebody whose address is not proven."""
    ada = await site.member()
    await site.execute("UPDATE kernel_accounts SET email_verified_at = NULL WHERE id = $1", ada.id)
    return ada


async def mailed(site: Site, email: str) -> str:
    """The token that was sent to an address."""
    await site.platform.drain()
    return site.mailbox.token(email)


ACTS: Acts = {
    "POST /api/v1/auth/register": register,
    "POST /api/v1/auth/login": log_in,
    "POST /api/v1/auth/refresh": refresh,
    "POST /api/v1/auth/logout": log_out,
    "DELETE /api/v1/auth/sessions": end_other_sessions,
    "DELETE /api/v1/auth/sessions/{session_id}": end_session,
    "POST /api/v1/auth/step-up": step_up,
    "POST /api/v1/auth/password/change": change_password,
    "POST /api/v1/auth/password/forgotten": forget_password,
    "POST /api/v1/auth/password/reset": reset_password,
    "POST /api/v1/auth/email/change": change_email,
    "POST /api/v1/auth/email/confirm": confirm_email,
    "POST /api/v1/auth/email/verification": ask_for_verification,
    "POST /api/v1/auth/email/verify": verify_email,
    "PUT /api/v1/admin/accounts/{account_id}/roles": set_roles,
    "PUT /api/v1/admin/accounts/{account_id}/status": set_status,
    "DELETE /api/v1/admin/accounts/{account_id}/sessions": end_account_sessions,
}
