"""What an ID token must be (OpenID Connect Core 1.0, 3.1.3.7; RFC 8725). Each lie of a provider is refused by name."""

import base64
import hashlib
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pegboard.sso import issuers

from tests.kernel.sso.conftest import Site, Trip
from tests.support.issuer import CLIENT_ID, Issuer, new_key

ADA = {"email": "ada@corp.example", "email_verified": True}
INVALID = "sso.provider_answer_invalid"


async def refused(trip: Trip, **said: Any) -> str:
    """Why a provider's answer was refused."""
    location = await trip.location(**said)
    assert location == {"error": INVALID, "provider": "corp"}
    return (await trip.site.reasons())[-1]


def half_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": [CLIENT_ID, "another-client"]}, "azp"),
        ({"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}, "azp"),
        ({"azp": "another-client"}, "azp"),
        ({"exp": int(time.time()) - 3600}, "exp"),
        ({"iat": int(time.time()) + 3600}, "iat"),
        ({"iat": int(time.time()) - 3600}, "iat"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"at_hash": half_hash("another token")}, "at_hash"),
        ({"sub": None}, "claims"),
        ({"exp": None}, "claims"),
        ({"iat": None}, "claims"),
        ({"sub": "s" * 256}, "sub"),
    ],
)
async def test_a_claim_that_is_wrong(site: Site, lie: dict[str, Any], reason: str) -> None:
    assert await refused(await site.start(), **lie) == f"sso: id_token: {reason}"


async def test_claims_that_are_right(site: Site) -> None:
    trip = await site.start()
    honest = {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID, "at_hash": half_hash("access-1")}
    assert (await trip.sign_in(**honest, **ADA)).status_code == 200


async def test_without_a_signature(site: Site, issuer: Issuer) -> None:
    trip = await site.start()
    bare = jwt.encode(issuer.claims(trip.asked["nonce"]), "", algorithm="none")
    assert await refused(trip, id_token=bare) == "sso: id_token: alg"


async def test_by_a_public_key_taken_as_a_secret(site: Site, issuer: Issuer) -> None:
    """The library refuses to make such a token, so it is made by hand (RFC 8725, 2.1)."""
    trip = await site.start()
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = issuer.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [{"alg": "HS256", "kid": "first", "typ": "JWT"}, issuer.claims(trip.asked["nonce"], **ADA)]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    import hmac

    signature = base64.urlsafe_b64encode(hmac.digest(public, signed, hashlib.sha256)).rstrip(b"=")
    assert await refused(trip, id_token=(signed + b"." + signature).decode()) == "sso: id_token: alg"


async def test_by_somebody_elses_key(site: Site, issuer: Issuer) -> None:
    trip = await site.start()
    forged = issuer.sign(issuer.claims(trip.asked["nonce"], **ADA), key=new_key())
    assert await refused(trip, id_token=forged) == "sso: id_token: signature"


async def test_by_an_algorithm_that_the_key_is_not_of(site: Site, issuer: Issuer) -> None:
    trip = await site.start()
    forged = issuer.sign(
        issuer.claims(trip.asked["nonce"]), key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"
    )
    assert await refused(trip, id_token=forged) == "sso: unknown key"


async def test_that_is_no_token(site: Site) -> None:
    assert await refused(await site.start(), id_token="no.token.at-all") == "sso: id_token: malformed"
    assert await refused(await site.start(), id_token="a" * 40_000) == "sso: id_token: too long"
    assert await refused(await site.start(), answer={"id_token": None}) == "sso: no id_token"


async def test_a_key_that_is_new(site: Site, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are remembered; one that isn't known is looked for, though not each time that somebody makes one up."""
    assert (await (await site.start()).sign_in(**ADA)).status_code == 200
    assert issuer.asked("/keys") == 1
    issuer.keys["second"] = new_key()
    for _ in range(3):
        trip = await site.start()
        token = issuer.sign(issuer.claims(trip.asked["nonce"], **ADA), kid="second")
        assert await refused(trip, id_token=token) == "sso: unknown key"
    assert issuer.asked("/keys") == 1, "it was asked a moment ago"
    monkeypatch.setattr(issuers, "COOL_DOWN", 0.0)
    trip = await site.start()
    token = issuer.sign(issuer.claims(trip.asked["nonce"], **ADA), kid="second")
    assert (await trip.exchange((await trip.location(id_token=token))["code"])).status_code == 200
    assert issuer.asked("/keys") == 2
    assert issuer.asked("/.well-known/openid-configuration") == 1


async def test_a_key_by_elliptic_curve(site: Site, issuer: Issuer) -> None:
    issuer.keys = {"curve": ec.generate_private_key(ec.SECP256R1())}
    trip = await site.start()
    token = issuer.sign(issuer.claims(trip.asked["nonce"], **ADA), kid="curve", algorithm="ES256")
    assert (await trip.exchange((await trip.location(id_token=token))["code"])).status_code == 200


async def test_a_token_without_a_key_id_where_there_is_one_key(site: Site, issuer: Issuer) -> None:
    trip = await site.start()
    token = issuer.sign(issuer.claims(trip.asked["nonce"], **ADA), kid=None)
    assert "code" in await trip.location(id_token=token)


async def test_what_the_id_token_lacks_userinfo_may_say(site: Site, issuer: Issuer) -> None:
    issuer.discovery["userinfo_endpoint"] = f"{issuer.url}/userinfo"
    issuer.userinfo = {"sub": "subject-1", **ADA}
    assert (await (await site.start()).sign_in()).status_code == 200
    issuer.userinfo = {"sub": "somebody else", **ADA}
    assert await refused(await site.start()) == "sso: userinfo: sub"


async def test_userinfo_does_not_vouch_for_the_address_of_an_id_token(site: Site, issuer: Issuer) -> None:
    issuer.discovery["userinfo_endpoint"] = f"{issuer.url}/userinfo"
    issuer.userinfo = {"sub": "subject-1", "email": "eve@corp.example", "email_verified": True}
    await site.provide(role_map={"staff": []})  # so that userinfo is asked for what the ID token lacks
    answer = await (await site.start()).sign_in(email="ada@corp.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "sso.email_not_proven")
