"""What people do with API keys and service accounts."""

from typing import Any

import httpx
from pegboard_sdk.ids import new_id

from tests.contracts.acts.site import Acts, Site
from tests.kernel.machines.conftest import make_credential, make_service
from tests.support.platform import Account

__all__ = ("ACTS",)

KEYS = "/api/v1/auth/api-keys"
SERVICES = "/api/v1/admin/service-accounts"
TOKEN = "/api/v1/auth/token"
CLIENT_SCOPES = ("account:self.read", "account:token.introspect")
NEW_KEY = {"label": "a script", "scopes": ["account:self.read"]}


async def create_key(site: Site) -> httpx.Response:
    return await (await site.member()).client.post(KEYS, json=NEW_KEY)


async def own_key(site: Site) -> tuple[Account, str]:
    """Somebody with an API key, and its path."""
    ada = await site.member()
    made = await ada.client.post(KEYS, json=NEW_KEY)
    assert made.status_code == 201, made.text
    return ada, f"{KEYS}/{made.json()['id']}"


async def rotate_key(site: Site) -> httpx.Response:
    ada, path = await own_key(site)
    return await ada.client.post(f"{path}/rotate", json={})


async def revoke_key(site: Site) -> httpx.Response:
    ada, path = await own_key(site)
    return await ada.client.delete(path)


async def create_service(site: Site) -> httpx.Response:
    return await (await site.administrator()).client.post(SERVICES, json={"name": f"robot {new_id().hex}"})


async def create_credential(site: Site) -> httpx.Response:
    service = (await create_service(site)).json()["id"]
    return await (await site.administrator()).client.post(f"{SERVICES}/{service}/credentials", json=NEW_KEY)


async def rotate_credential(site: Site) -> httpx.Response:
    made: Any = (await create_credential(site)).json()
    path = f"{SERVICES}/{made['account_id']}/credentials/{made['id']}/rotate"
    return await (await site.administrator()).client.post(path, json={})


async def revoke_credential(site: Site) -> httpx.Response:
    made: Any = (await create_credential(site)).json()
    path = f"/api/v1/admin/accounts/{made['account_id']}/credentials/{made['id']}"
    return await (await site.administrator()).client.delete(path)


async def client(site: Site) -> dict[str, str]:
    """What an OAuth client proves itself by. It may look into tokens."""
    admin = await site.administrator()
    service: Any = await make_service(admin, "administrator")
    made: Any = await make_credential(admin, service, *CLIENT_SCOPES, kind="client_secret")
    return {"client_id": made["account_id"], "client_secret": made["secret"]}


async def issue_token(site: Site) -> httpx.Response:
    return await site.anonymous.post(TOKEN, data={"grant_type": "client_credentials", **await client(site)})


async def ask_about_token(site: Site, verb: str) -> httpx.Response:
    proof = await client(site)
    issued = await site.anonymous.post(TOKEN, data={"grant_type": "client_credentials", **proof})
    return await site.anonymous.post(f"{TOKEN}/{verb}", data={"token": issued.json()["access_token"], **proof})


async def revoke_token(site: Site) -> httpx.Response:
    return await ask_about_token(site, "revoke")


async def introspect_token(site: Site) -> httpx.Response:
    return await ask_about_token(site, "introspect")


async def rotate_signing_key(site: Site) -> httpx.Response:
    return await (await site.operator()).client.post("/api/v1/admin/signing-keys", json={})


ACTS: Acts = {
    "POST /api/v1/admin/signing-keys": rotate_signing_key,
    "POST /api/v1/auth/token": issue_token,
    "POST /api/v1/auth/token/revoke": revoke_token,
    "POST /api/v1/auth/token/introspect": introspect_token,
    "POST /api/v1/auth/api-keys": create_key,
    "POST /api/v1/auth/api-keys/{key_id}/rotate": rotate_key,
    "DELETE /api/v1/auth/api-keys/{key_id}": revoke_key,
    "POST /api/v1/admin/service-accounts": create_service,
    "POST /api/v1/admin/service-accounts/{account_id}/credentials": create_credential,
    "POST /api/v1/admin/service-accounts/{account_id}/credentials/{credential_id}/rotate": rotate_credential,
    "DELETE /api/v1/admin/accounts/{account_id}/credentials/{credential_id}": revoke_credential,
}
