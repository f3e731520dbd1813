"""Providers that nobody here wrote: each is gone through as a browser does, from the start to the session."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.kernel.sso.conftest import ADMIN, AUTH, PAGE, PROVIDERS, Site, returned
from tests.support.emulate import emulated, installed
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, Issuer
from tests.support.oidc_mock import provider_mock
from tests.support.platform import TestPlatform

CALLBACK = f"http://platform.test{PROVIDERS}/corp/callback"
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
APP = {**CLIENT, "name": "Pegboard", "redirect_uris": [CALLBACK]}
ADA = {"email": "ada@corp.example", "name": "Ada Lovelace"}
APPLE_KEY = ec.generate_private_key(ec.SECP256R1())
APPLE_P8 = APPLE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
APPLE = {"preset": "apple", "team_id": "TEAM001", "key_id": "KEY001", "client_secret": APPLE_P8}

Visit = Callable[[httpx.Client, str], tuple[str, str, dict[str, str]]]


def form_of(page: str, who: str = "") -> tuple[str, dict[str, str]]:
    """Where the first form of a page with `who` in it goes, and what it sends."""
    forms = re.findall(r"<form[^>]*?action=\"([^\"]*)\"[^>]*>(.*?)</form>", page, re.DOTALL)
    action, form = next((action, form) for action, form in forms if who in form)
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r"name=\"([^\"]*)\"", tag), re.search(r"value=\"([^\"]*)\"", tag)
        if name is not None:
            fields[name[1]] = unescape(value[1]) if value is not None else ""
    return unescape(action), fields


def choose_a_user(client: httpx.Client, url: str) -> tuple[str, str, dict[str, str]]:
    """Somebody opens the provider's page and chooses Ada there. Gives the request that its answer has the
    browser make: method, address, form.
    """
    page = client.get(url)
    assert page.status_code == 200, page.text
    action, fields = form_of(page.text, ADA["email"])
    answer = client.post(httpx.URL(url).join(action), data=fields)
    if answer.status_code == 302:
        return "GET", answer.headers["location"], {}
    action, fields = form_of(answer.text)
    return "POST", action, fields


def type_a_name(client: httpx.Client, url: str) -> tuple[str, str, dict[str, str]]:
    """Somebody types who they are."""
    answer = client.post(url, data={"sub": "ada"})
    return "GET", answer.headers["location"], {}


@contextmanager
def oidc_mock(folder: Path) -> Iterator[str]:
    with provider_mock(folder / "log") as url:
        put = httpx.put(f"{url}/users/ada", json={**ADA, "email_verified": True})
        assert put.status_code == 204, put.text
        yield url


ENTRA = "9188040d-6c67-4c5b-b112-36a304b66dad"
NAMED = {"login": ADA["email"], "email": ADA["email"], "first_name": "Ada", "last_name": "Lovelace"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "github": ({"preset": "github"}, {"users": [{"login": "ada", **ADA}], "oauth_apps": [APP]}),
    "google": ({"preset": "google"}, {"users": [{**ADA, "email_verified": True}], "oauth_clients": [APP]}),
    "apple": (APPLE, {"users": [ADA], "oauth_clients": [{**APP, "team_id": "TEAM001"}]}),
    "okta": ({}, {"users": [NAMED], "oauth_clients": [APP]}),
    "microsoft": ({}, {"users": [{**ADA, "tenant_id": ENTRA}], "oauth_clients": [APP]}),
}
"""By service: what is set up here, and what there."""


async def go(site: Site, visit: Visit, settings: dict[str, Any]) -> tuple[dict[str, str], httpx.AsyncClient]:
    """Begin, visit the provider, come back. Gives what `return_to` gets, and the browser."""
    answer = await site.administrator.client.put(f"{ADMIN}/corp", json={**CLIENT, "return_to": [PAGE], **settings})
    assert answer.status_code == 200, answer.text
    browser = site.platform.anonymous(site.tenant)
    begun = await browser.post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
    assert begun.status_code == 200, begun.text
    with httpx.Client(trust_env=False) as client:
        method, address, form = visit(client, begun.json()["authorization_url"])
    assert address.startswith(CALLBACK), address
    headers = {"origin": settings["issuer"]} if method == "POST" else {}
    back = await browser.request(method, address, data=form or None, headers=headers)
    return returned(back), browser


@pytest.mark.skipif(not installed(), reason="emulate is not installed: make counterparties")
@pytest.mark.parametrize("service", CASES)
async def test_an_emulated_provider(platform: TestPlatform, tenant: UUID, tmp_path: Path, service: str) -> None:
    settings, seed = CASES[service]
    administrator = await platform.account(tenant, ("administrator",))
    with emulated(service, seed, tmp_path / "log") as url:
        site = Site(platform=platform, tenant=tenant, administrator=administrator, issuer=None)  # type: ignore[arg-type]
        location, browser = await go(
            site, choose_a_user, {"issuer": f"{url}/{ENTRA}/v2.0" if service == "microsoft" else url, **settings}
        )
        reasons = await site.reasons()
        if service == "google":  # this one signs by HS256, as Google itself doesn't: that is taken from nobody
            assert (location["error"], reasons) == ("sso.provider_answer_invalid", ["sso: id_token: alg"])
            return
        assert "code" in location, (location, reasons, (tmp_path / "log").read_text())
        answer = await browser.post(f"{PROVIDERS}/exchange", json={"code": location["code"]})
    if service == "microsoft":  # its tokens say nothing of an address's having been checked, as Entra's don't
        assert answer.json()["code"] == "sso.email_not_proven"
        return
    assert answer.status_code == 200, answer.text
    me = platform.client(authorization=f"Bearer {answer.json()['access_token']}")
    account = (await me.get(f"{AUTH}/me")).json()
    assert (account["email"], account["display_name"]) == (ADA["email"], ADA["name"])


@pytest.mark.skipif(find_spec("oidc_provider_mock") is None, reason="oidc-provider-mock is not installed: make dev")
async def test_oidc_provider_mock(platform: TestPlatform, tenant: UUID, tmp_path: Path) -> None:
    administrator = await platform.account(tenant, ("administrator",))
    site = Site(platform=platform, tenant=tenant, administrator=administrator, issuer=None)  # type: ignore[arg-type]
    with oidc_mock(tmp_path) as url:
        location, browser = await go(site, type_a_name, {"issuer": url})
        assert "code" in location, (location, await site.reasons(), (tmp_path / "log").read_text())
    answer = await browser.post(f"{PROVIDERS}/exchange", json={"code": location["code"]})
    assert answer.status_code == 200, answer.text


async def test_apples_client_secret_is_a_token_that_we_sign(site: Site, issuer: Issuer) -> None:
    answer = await site.provide(**{**APPLE, "client_id": "com.example.shop"})
    assert answer.status_code == 200, answer.text
    trip = await site.start()
    assert (trip.asked["response_mode"], trip.asked["scope"]) == ("form_post", "openid name email")
    claims = issuer.claims(trip.asked["nonce"], aud="com.example.shop", email=ADA["email"], email_verified="true")
    issuer.gives("one", trip.asked["code_challenge"], id_token=issuer.sign(claims))
    user = json.dumps({"name": {"firstName": "Ada", "lastName": "Lovelace"}})
    form = {"state": trip.asked["state"], "code": "one", "user": user}
    location = returned(await trip.client.post(f"{PROVIDERS}/corp/callback", data=form))
    sent = parse_qs(next(body for path, _, body in issuer.requests if path == "/token"))
    secret = sent["client_secret"][0]
    assert jwt.get_unverified_header(secret) == {"alg": "ES256", "kid": "KEY001", "typ": "JWT"}
    said = jwt.decode(secret, APPLE_KEY.public_key(), algorithms=["ES256"], audience=issuer.url)
    assert (said["iss"], said["sub"], said["exp"] - said["iat"]) == ("TEAM001", "com.example.shop", 300)
    came = await trip.exchange(location["code"])
    me = site.platform.client(authorization=f"Bearer {came.json()['access_token']}")
    assert (await me.get(f"{AUTH}/me")).json()["display_name"] == "Ada Lovelace"


@pytest.mark.parametrize("user", ["", "not json", "[]", '{"name": {"firstName": 1}}'])
async def test_a_name_of_apples_that_is_none(site: Site, issuer: Issuer, user: str) -> None:
    await site.provide(**APPLE)
    trip = await site.start()
    form = {"state": trip.asked["state"], "error": "user_cancelled_authorize", "user": user}
    location = returned(await trip.client.post(f"{PROVIDERS}/corp/callback", data=form))
    assert location["error"] == "sso.provider_refused"
    del issuer


async def test_linkedin_returns_no_nonce(site: Site) -> None:
    await site.provide(preset="linkedin")
    trip = await site.start()
    assert (await trip.location(nonce="another's")).get("error") == "sso.provider_answer_invalid"
    trip = await site.start()
    assert (await trip.sign_in(nonce=None, email=ADA["email"], email_verified=True)).status_code == 200


async def test_google_by_preset(site: Site) -> None:
    """As Google's tokens are: an issuer with keys, an address that it has checked, the client's own `azp`."""
    await site.provide(preset="google")
    trip = await site.start()
    assert trip.asked["scope"] == "openid email profile"
    said = {"azp": CLIENT_ID, "hd": "corp.example", **ADA, "email_verified": True}
    assert (await trip.sign_in(**said)).status_code == 200
    sent = parse_qs(next(body for path, _, body in site.issuer.requests if path == "/token"))
    assert sent["client_secret"] == [CLIENT_SECRET]
