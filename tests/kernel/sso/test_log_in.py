"""Logging in by an identity provider, in a browser and in an app."""

from tests.kernel.sso.conftest import AUTH, PROVIDERS, Site

ADA = {"email": "ada@corp.example", "email_verified": True, "name": "Ada Lovelace"}


async def test_who_comes_for_the_first_time_gets_an_account(site: Site) -> None:
    trip = await site.start()
    answer = await trip.sign_in(**ADA)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    client = site.platform.client(authorization=f"Bearer {answer.json()['access_token']}")
    me = (await client.get(f"{AUTH}/me")).json()
    assert (me["email"], me["email_verified"], me["display_name"]) == ("ada@corp.example", True, "Ada Lovelace")
    assert (me["tenant_id"], me["roles"]) == (str(site.tenant), ["member"])
    again = await (await site.start(app=True)).sign_in(**{**ADA, "email": "ada@other.example"})
    other = site.platform.client(authorization=f"Bearer {again.json()['access_token']}")
    assert (await other.get(f"{AUTH}/me")).json()["id"] == me["id"], "an issuer's subject decides, not the address"
    sessions = (await other.get(f"{AUTH}/sessions")).json()["items"]
    assert [session["methods"] for session in sessions] == [["fed"], ["fed"]]


async def test_a_browser_may_have_its_tokens_as_cookies(site: Site) -> None:
    trip = await site.start()
    answer = await trip.exchange(await trip.proven(**ADA), cookies=True)
    assert answer.json().keys() == {"csrf_token", "expires_in", "refresh_expires_in"}
    assert (await trip.client.get(f"{AUTH}/me")).status_code == 200


async def test_the_list_is_for_everybody(site: Site) -> None:
    await site.provide("google", preset="google", issuer="")
    await site.provide("off", enabled=False)
    answer = await site.platform.anonymous(site.tenant).get(PROVIDERS)
    assert answer.json()["items"] == [
        {"name": "corp", "label": "Single sign-on", "preset": "oidc", "required": False},
        {"name": "google", "label": "Google", "preset": "google", "required": False},
    ]
