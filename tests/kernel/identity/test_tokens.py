"""Access tokens: only what we signed, as we signed it, while it lasts."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard.identity.tokens import TokenInvalid, Tokens
from pegboard_sdk.ids import new_id

from tests.support.platform import TestPlatform

Forge = Callable[[dict[str, Any], dict[str, Any]], str]


@pytest.fixture
def tokens(platform: TestPlatform) -> Tokens:
    return platform.runtime.authenticator.tokens


@pytest.fixture
def claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "pegboard", "aud": "pegboard", "sub": str(new_id()), "tid": str(new_id()), "sid": str(new_id()),
        "roles": ["member"], "iat": now, "exp": now + 60, "jti": str(new_id()),
    }  # fmt: skip


@pytest.fixture
def forge(platform: TestPlatform) -> Forge:
    """Signs whatever claims and header with the real key."""

    def sign(claims: dict[str, Any], header: dict[str, Any]) -> str:
        key = platform.runtime.authenticator.keys.signing
        return jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid, "typ": "at+jwt"} | header)

    return sign


def made_by(tokens: Tokens) -> tuple[str, UUID]:
    account_id = new_id()
    token = tokens.sign(account_id=account_id, tenant_id=new_id(), session_id=new_id(), roles=["member"])
    return token, account_id


async def test_what_we_signed_is_ours(tokens: Tokens, forge: Forge, claims: dict[str, Any]) -> None:
    token, account_id = made_by(tokens)
    access = await tokens.verify(token)
    assert (access.sub, access.roles, access.exp - access.iat) == (account_id, ["member"], tokens.ttl)
    assert str((await tokens.verify(forge(claims, {}))).sub) == claims["sub"]


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "elsewhere"},
        {"aud": ["pegboard", "elsewhere"]},
        {"exp": int(time.time()) - 1},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"sub": "admin"},
        {"sid": None},
        {"roles": "administrator"},
        {"roles": [1]},
        {"roles": ["x" * 4096]},
        {"exp": "tomorrow"},
        *({name: ...} for name in ("iss", "aud", "sub", "tid", "sid", "roles", "iat", "exp", "jti")),
    ],
    ids=lambda change: "".join(change),  # the values hold the time: workers would name the tests differently
)
async def test_claims_that_we_would_not_make_are_refused(
    tokens: Tokens, forge: Forge, claims: dict[str, Any], change: dict[str, Any]
) -> None:
    changed = {name: value for name, value in (claims | change).items() if value is not ...}
    with pytest.raises(TokenInvalid):
        await tokens.verify(forge(changed, {}))


@pytest.mark.parametrize(
    "header",
    [{"typ": "JWT"}, {"typ": "at+JWT2"}, {"typ": None}, {"kid": "another"}],
    ids=str,
)
async def test_headers_that_we_would_not_make_are_refused(
    tokens: Tokens, forge: Forge, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    with pytest.raises(TokenInvalid):
        await tokens.verify(forge(claims, header))


def hand_made(claims: dict[str, Any], header: dict[str, Any], signature: bytes) -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_the_header_does_not_choose_the_algorithm(
    platform: TestPlatform, tokens: Tokens, claims: dict[str, Any]
) -> None:
    key = platform.runtime.authenticator.keys.signing
    public = key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    header = {"kid": key.kid, "typ": "at+jwt"}
    for secret in (pem, raw):
        signing_input = hand_made(claims, {"alg": "HS256", **header}, b"").rpartition(".")[0]
        signature = jwt.get_algorithm_by_name("HS256").sign(signing_input.encode(), secret)
        confused = hand_made(claims, {"alg": "HS256", **header}, signature)
        with pytest.raises(TokenInvalid):
            await tokens.verify(confused)
    for algorithm in ("none", "None", "ES256", "EdDSA"):
        for changed in ({"alg": algorithm, **header}, {"alg": algorithm, "typ": "at+jwt", "kid": None}):
            with pytest.raises(TokenInvalid):
                await tokens.verify(hand_made(claims, changed, b""))


async def test_another_key_under_our_key_id_is_refused(
    platform: TestPlatform, tokens: Tokens, claims: dict[str, Any]
) -> None:
    kid = platform.runtime.authenticator.keys.signing.kid
    theirs = Ed25519PrivateKey.generate()
    token = jwt.encode(claims, theirs, algorithm="EdDSA", headers={"kid": kid, "typ": "at+jwt"})
    with pytest.raises(TokenInvalid):
        await tokens.verify(token)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_changed_token_is_refused(tokens: Tokens, data: st.DataObject) -> None:
    token, _ = made_by(tokens)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda character: character != token[at]))
    changed = token[:at] + other + token[at + 1 :]
    if decoded(changed) != decoded(token):  # the last character holds bits that mean nothing
        with pytest.raises(TokenInvalid):
            await tokens.verify(changed)


def decoded(token: str) -> object:
    try:
        return [base64.urlsafe_b64decode(part + "==") for part in token.split(".")], token.encode("ascii").isascii()
    except (ValueError, UnicodeEncodeError):
        return token


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "a" * 5000, "é.é.é", "\ud800".encode("utf-8", "replace").decode()]
)
async def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    with pytest.raises(TokenInvalid):
        await tokens.verify(text)


async def test_the_published_keys_verify_our_tokens(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    response = await platform.anonymous(tenant).get("/.well-known/jwks.json")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "public, max-age=300"
    (published,) = jwt.PyJWKSet.from_dict(response.json()).keys
    assert "d" not in response.json()["keys"][0]
    assert jwt.get_unverified_header(ada.token)["kid"] == published.key_id
    claims = jwt.decode(ada.token, published, algorithms=["EdDSA"], audience="pegboard", issuer="pegboard")
    assert claims["sub"] == str(ada.id)
