"""What people do with log-ins elsewhere."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from pegboard.sso.state import new_secret

from tests.contracts.acts.site import Act, Acts
from tests.contracts.acts.site import Site as Marketplace
from tests.kernel.sso.conftest import ADMIN, AUTH, PAGE, PROVIDERS, Site, Trip
from tests.support.issuer import Issuer
from tests.support.platform import Account

__all__ = ("ACTS",)

IDENTITIES = f"{AUTH}/identities"
ADA = {"email": "ada@corp.example", "email_verified": True, "name": "Ada Lovelace"}


def with_issuer(use: Callable[[Site], Awaitable[httpx.Response]]) -> Act:
    """An act in a marketplace with the provider `corp`."""

    async def act(marketplace: Marketplace) -> httpx.Response:
        with Issuer.running() as issuer:
            site = Site(
                platform=marketplace.platform,
                tenant=marketplace.tenant,
                administrator=await marketplace.administrator(),
                issuer=issuer,
            )
            await site.provide()
            return await use(site)

    return act


async def set_provider(site: Site) -> httpx.Response:
    return await site.provide("other")


async def remove_provider(site: Site) -> httpx.Response:
    return await site.administrator.client.delete(f"{ADMIN}/corp")


async def start(site: Site) -> httpx.Response:
    return await site.platform.anonymous(site.tenant).post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})


async def arrive(site: Site) -> httpx.Response:
    trip = await site.start()
    code = new_secret()
    token = site.issuer.sign(site.issuer.claims(trip.asked["nonce"], **ADA))
    site.issuer.gives(code, trip.asked["code_challenge"], id_token=token)
    form = {"state": trip.asked["state"], "code": code}
    return await trip.client.post(f"{PROVIDERS}/corp/callback", data=form)


async def exchange(site: Site) -> httpx.Response:
    return await (await site.start()).sign_in(**ADA)


async def start_link(site: Site) -> httpx.Response:
    ada = await site.platform.account(site.tenant)
    return await ada.client.post(f"{IDENTITIES}/corp/start", json={"return_to": PAGE})


async def linked(site: Site) -> tuple[Account, httpx.Response]:
    """Somebody who has just linked their account."""
    ada = await site.platform.account(site.tenant)
    trip: Trip = await site.start(ada.client, path=f"{IDENTITIES}/corp/start")
    return ada, await ada.client.post(IDENTITIES, json={"code": await trip.proven(**ADA)})


async def link(site: Site) -> httpx.Response:
    return (await linked(site))[1]


async def unlink(site: Site) -> httpx.Response:
    ada, answer = await linked(site)
    identities: Any = answer.json()
    return await ada.client.delete(f"{IDENTITIES}/{identities['items'][0]['id']}")


ACTS: Acts = {
    "PUT /api/v1/admin/sso-providers/{name}": with_issuer(set_provider),
    "DELETE /api/v1/admin/sso-providers/{name}": with_issuer(remove_provider),
    "POST /api/v1/auth/providers/{name}/start": with_issuer(start),
    "POST /api/v1/auth/providers/{name}/callback": with_issuer(arrive),
    "POST /api/v1/auth/providers/exchange": with_issuer(exchange),
    "POST /api/v1/auth/identities/{name}/start": with_issuer(start_link),
    "POST /api/v1/auth/identities": with_issuer(link),
    "DELETE /api/v1/auth/identities/{identity_id}": with_issuer(unlink),
}
