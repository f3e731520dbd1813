"""Ways of getting into another's log-in on its way there and back (RFC 9700, 4; RFC 9207)."""

import asyncio
import re
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from pegboard.sso.state import new_secret

from tests.kernel.sso.conftest import AUTH, PAGE, PROVIDERS, Site, returned
from tests.support.issuer import Issuer

ADA = {"email": "ada@corp.example", "email_verified": True}


async def test_a_state_is_good_once(site: Site) -> None:
    trip = await site.start()
    await trip.proven(**ADA)
    answer = await trip.back(code="again")
    assert (answer.status_code, answer.json()["code"]) == (400, "sso.state_invalid")


async def test_of_two_answers_at_once_one_counts(site: Site, issuer: Issuer) -> None:
    trip = await site.start()
    code = new_secret()
    issuer.gives(code, trip.asked["code_challenge"], id_token=issuer.sign(issuer.claims(trip.asked["nonce"], **ADA)))
    answers = await asyncio.gather(*(trip.back(code=code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400, 400]


@pytest.mark.parametrize("state", ["", "nonsense", f"{'0' * 32}.{'a' * 43}"])
async def test_a_state_that_is_made_up(site: Site, state: str) -> None:
    client = site.platform.anonymous(site.tenant)
    answer = await client.get(f"{PROVIDERS}/corp/callback", params={"state": state, "code": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "sso.state_invalid")
    assert "location" not in answer.headers


async def test_a_state_that_is_too_old(site: Site) -> None:
    trip = await site.start()
    async with site.platform.work(site.platform.system(site.tenant)) as work:
        await work.execute("UPDATE kernel_sso_flows SET expires_at = now() WHERE tenant_id = $1", site.tenant)
    assert (await trip.back(code="x")).json()["code"] == "sso.state_invalid"


async def test_an_answer_in_another_browser(site: Site) -> None:
    """Eve begins a log-in and has Ada's browser finish it, which would log Ada in as Eve (log-in CSRF)."""
    trip = await site.start()
    trip.client = site.platform.anonymous(site.tenant)
    assert (await trip.back(code="x")).json()["code"] == "sso.state_invalid"
    assert await site.reasons() == ["sso: state"]
    trip = await site.start()
    trip.client = (await site.start()).client
    assert (await trip.back(code="x")).json()["code"] == "sso.state_invalid", "its own cookie is another"


async def test_the_answer_of_another_provider(site: Site) -> None:
    """Mix-up: the state of one provider's log-in comes back from another."""
    await site.provide("other")
    trip = await site.start()
    trip.name = "other"
    assert (await trip.back(code="x")).json()["code"] == "sso.state_invalid"


async def test_an_answer_that_names_another_issuer(site: Site, issuer: Issuer) -> None:
    trip = await site.start()
    location = returned(await trip.back(code="x", iss="https://evil.example"))
    assert location["error"] == "sso.provider_answer_invalid"
    assert (await site.reasons())[-1] == "sso: iss of another issuer"
    assert issuer.asked("/token") == 0, "the code went nowhere"


async def test_an_answer_without_the_issuer_that_always_names_itself(site: Site, issuer: Issuer) -> None:
    issuer.discovery["authorization_response_iss_parameter_supported"] = True
    trip = await site.start()
    assert returned(await trip.back(code="x"))["error"] == "sso.provider_answer_invalid"
    assert (await site.reasons())[-1] == "sso: iss is missing"
    code = new_secret()
    trip = await site.start()
    issuer.gives(code, trip.asked["code_challenge"], id_token=issuer.sign(issuer.claims(trip.asked["nonce"], **ADA)))
    assert "code" in returned(await trip.back(code=code, iss=issuer.url))


async def test_a_discovery_document_of_another_issuer(site: Site, issuer: Issuer) -> None:
    issuer.discovery["issuer"] = "https://accounts.google.com"
    answer = await site.platform.anonymous(site.tenant).post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
    assert (answer.status_code, answer.json()["code"]) == (502, "sso.provider_answer_invalid")


async def test_a_code_of_another_log_in(site: Site, issuer: Issuer) -> None:
    """Code injection: PKCE's verifier belongs to the state, so the provider refuses."""
    ada, eve = await site.start(), await site.start()
    code = new_secret()
    issuer.gives(code, ada.asked["code_challenge"], id_token=issuer.sign(issuer.claims(ada.asked["nonce"], **ADA)))
    assert returned(await eve.back(code=code))["error"] == "sso.provider_answer_invalid"
    assert re.fullmatch("sso: status 400 of /[0-9a-f]{16}/token", (await site.reasons())[-1])


async def test_a_token_of_another_log_in(site: Site, issuer: Issuer) -> None:
    ada, eve = await site.start(), await site.start()
    replayed = issuer.sign(issuer.claims(ada.asked["nonce"], **ADA))
    assert (await eve.location(id_token=replayed))["error"] == "sso.provider_answer_invalid"
    assert (await site.reasons())[-1] == "sso: id_token: nonce"


async def test_a_code_that_somebody_else_got_hold_of(site: Site) -> None:
    for app in (False, True):
        trip = await site.start(app=app)
        code = await trip.proven(**ADA)
        eve = site.platform.anonymous(site.tenant)
        for stolen in ({}, {"code_verifier": new_secret()}):
            answer = await eve.post(f"{PROVIDERS}/exchange", json={"code": code, **stolen})
            assert (answer.status_code, answer.json()["code"]) == (400, "sso.code_invalid")
        assert (await trip.exchange(code)).status_code == 200, "its owner still has it"
        assert (await trip.exchange(code)).json()["code"] == "sso.code_invalid", "once"


async def test_of_two_exchanges_at_once_one_counts(site: Site) -> None:
    trip = await site.start(app=True)
    code = await trip.proven(**ADA)
    answers = await asyncio.gather(*(trip.exchange(code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


async def test_a_code_that_is_too_old(site: Site) -> None:
    trip = await site.start()
    code = await trip.proven(**ADA)
    async with site.platform.work(site.platform.system(site.tenant)) as work:
        await work.execute("UPDATE kernel_sso_flows SET expires_at = now() WHERE tenant_id = $1", site.tenant)
    assert (await trip.exchange(code)).json()["code"] == "sso.code_invalid"


async def test_another_tenants_code_and_state(site: Site, tenant: UUID) -> None:
    other = await site.platform.tenant()
    trip = await site.start(app=True)
    trip.client = site.platform.anonymous(other)
    assert (await trip.back(code="x")).json()["code"] == "sso.state_invalid"
    trip = await site.start(app=True)
    code = await trip.proven(**ADA)
    trip.client = site.platform.anonymous(other)
    assert (await trip.exchange(code)).json()["code"] == "sso.code_invalid"
    unknown = await trip.client.post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sso.provider_unknown")


@pytest.mark.parametrize(
    "return_to", ["https://evil.example/", f"{PAGE}/", f"{PAGE}?x=1", f"{PAGE}@evil.example", "javascript:alert(1)"]
)
async def test_a_page_that_is_not_on_the_list(site: Site, return_to: str) -> None:
    answer = await site.platform.anonymous(site.tenant).post(f"{PROVIDERS}/corp/start", json={"return_to": return_to})
    assert (answer.status_code, answer.json()["code"]) == (400, "sso.return_not_allowed")


async def test_another_page_can_not_begin_a_log_in_in_its_visitors_browser(site: Site) -> None:
    client = site.platform.client(x_tenant=str(site.tenant), origin="https://evil.example")
    answer = await client.post(f"{PROVIDERS}/corp/start", json={"return_to": PAGE})
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.csrf_refused")


async def test_the_provider_says_no(site: Site) -> None:
    trip = await site.start()
    assert returned(await trip.back(error="access_denied")) == {"error": "sso.provider_refused", "provider": "corp"}


async def test_no_token_and_no_secret_is_in_an_address_or_at_rest(site: Site, issuer: Issuer) -> None:
    trip = await site.start(app=True)
    code = await trip.proven(**ADA)
    async with site.platform.work(site.platform.system(site.tenant)) as work:
        rows = [
            dict(row) for row in await work.fetch("SELECT * FROM kernel_sso_flows WHERE tenant_id = $1", site.tenant)
        ]
    kept = repr(rows)
    form = next(body for path, _, body in issuer.requests if path == "/token")
    verifier = parse_qs(form)["code_verifier"][0]
    for secret in (code, trip.asked["state"], trip.asked["nonce"], verifier, "ada@corp.example", "access-1"):
        assert secret not in kept
    answer = await trip.exchange(code)
    me = site.platform.client(authorization=f"Bearer {answer.json()['access_token']}")
    assert (await me.get(f"{AUTH}/me")).status_code == 200
