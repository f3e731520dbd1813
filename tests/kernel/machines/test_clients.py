"""OAuth clients: tokens for a secret or an assertion, errors as RFC 6749 has them."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from pegboard.identity.tokens import AUDIENCE
from pegboard.machines.jobs import DELETE_USED_ASSERTIONS, DeleteUsedAssertions
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditLog

from tests.kernel.machines.conftest import ACCOUNTS, SERVICES, make_credential, make_service, with_key
from tests.support.fleet import until
from tests.support.platform import Account, TestPlatform
from tests.support.servers import BUILT_IN, make_config

TOKEN = "/api/v1/auth/token"
ME = "/api/v1/auth/me"
READ = "account:self.read"
LIST = "account:account.list"
PUBLIC = "https://market.test"
ASSERTION = {
    "grant_type": "client_credentials",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
}


@pytest.fixture
async def robot(admin: Account) -> dict[str, Any]:
    return await make_service(admin, "administrator")


@pytest.fixture
async def client(admin: Account, robot: dict[str, Any]) -> dict[str, Any]:
    """A client's secret."""
    return await make_credential(admin, robot, READ, LIST, kind="client_secret")


@pytest.fixture
async def public(
    tmp_path: Path, database_url: str, redis_url: str, platform: TestPlatform
) -> AsyncIterator[TestPlatform]:
    """The same installation, in another process that knows its public address."""
    environ = {"PEGBOARD_HTTP__PUBLIC_URL": PUBLIC}
    running = TestPlatform(make_config(tmp_path, database_url, redis_url, plugins=BUILT_IN, **environ))
    await running.start()
    yield running
    await running.stop()


async def ask(platform: TestPlatform, tenant: UUID, client: dict[str, Any], **more: str) -> httpx.Response:
    """Ask for a token, with the secret in the body."""
    proof = {"client_id": client["account_id"], "client_secret": client["secret"]}
    return await platform.anonymous(tenant).post(TOKEN, data={"grant_type": "client_credentials", **proof, **more})


def bearer(platform: TestPlatform, answer: httpx.Response) -> httpx.AsyncClient:
    assert answer.status_code == 200, answer.text
    return platform.client(authorization=f"Bearer {answer.json()['access_token']}")


async def test_a_client_gets_a_token_for_its_secret(
    platform: TestPlatform, tenant: UUID, client: dict[str, Any]
) -> None:
    answer = await ask(platform, tenant, client)
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["scope"], body["expires_in"]) == ("Bearer", f"{LIST} {READ}", 900)
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert (claims["client_id"], claims["sub"]) == (client["account_id"], client["account_id"])
    assert (claims["scope"], claims["aud"]) == (body["scope"], AUDIENCE)
    assert jwt.get_unverified_header(body["access_token"])["typ"] == "at+jwt"
    assert (await bearer(platform, answer).get(ME)).json()["id"] == client["account_id"]
    assert (await bearer(platform, answer).get(ACCOUNTS)).status_code == 200


async def test_a_token_has_the_scopes_that_were_asked_for(
    platform: TestPlatform, tenant: UUID, client: dict[str, Any]
) -> None:
    answer = await ask(platform, tenant, client, scope=READ)
    assert answer.json()["scope"] == READ
    assert (await bearer(platform, answer).get(ME)).status_code == 200
    assert (await bearer(platform, answer).get(ACCOUNTS)).status_code == 403
    refused = await ask(platform, tenant, client, scope="account:account.disable")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


async def test_the_secret_may_be_in_the_header(platform: TestPlatform, tenant: UUID, client: dict[str, Any]) -> None:
    basic = base64.b64encode(f"{client['account_id']}:{client['secret']}".encode()).decode()
    http = platform.client(x_tenant=str(tenant), authorization=f"Basic {basic}")
    assert (await http.post(TOKEN, data={"grant_type": "client_credentials"})).status_code == 200
    both = await http.post(TOKEN, data={"grant_type": "client_credentials", "client_secret": client["secret"]})
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "pbc_nonsense"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": str(new_id())}, 401, "invalid_client"),
    ],
)
async def test_refusals_have_the_shape_of_oauth(
    platform: TestPlatform, tenant: UUID, client: dict[str, Any], change: dict[str, str], status: int, error: str
) -> None:
    answer = await ask(platform, tenant, client, **change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_a_parameter_that_is_sent_twice_is_refused(platform: TestPlatform, tenant: UUID) -> None:
    answer = await platform.anonymous(tenant).post(
        TOKEN,
        content="grant_type=client_credentials&scope=a&scope=b",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_api_key_is_no_client_secret_and_the_other_way_round(
    platform: TestPlatform, tenant: UUID, admin: Account, robot: dict[str, Any], client: dict[str, Any]
) -> None:
    key = await make_credential(admin, robot, READ)
    refused = await ask(platform, tenant, key)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert (await with_key(platform, client).get(ME)).status_code == 401


async def test_revoking_the_credential_ends_its_tokens(
    platform: TestPlatform, tenant: UUID, admin: Account, client: dict[str, Any], runtime: Runtime
) -> None:
    answer = await ask(platform, tenant, client)
    token = answer.json()["access_token"]
    await runtime.authenticator.start()
    principal = await runtime.authenticator.principal(token, platform.registry)
    http = bearer(platform, answer)
    assert (await http.get(ME)).status_code == 200
    path = f"{ACCOUNTS}/{client['account_id']}/credentials/{client['id']}"
    assert (await admin.client.delete(path)).status_code == 204
    assert (await http.get(ME)).status_code == 401
    with pytest.raises(Exception, match="session has ended"):
        async with platform.work(principal):
            pass

    async def refused() -> bool:
        return runtime.authenticator.cached(token, platform.registry) is None

    await until(refused)
    assert (await ask(platform, tenant, client)).status_code == 401


async def test_a_token_that_is_being_given_ends_with_its_credential(
    platform: TestPlatform, tenant: UUID, admin: Account, client: dict[str, Any]
) -> None:
    path = f"{ACCOUNTS}/{client['account_id']}/credentials/{client['id']}"
    *answers, _ = await asyncio.gather(*(ask(platform, tenant, client) for _ in range(10)), admin.client.delete(path))
    for answer in answers:
        if answer.status_code == 200:
            assert (await bearer(platform, answer).get(ME)).status_code == 401
        else:
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    async with platform.runtime.database.system_reader() as connection:
        left = await connection.fetchval(
            "SELECT count(*) FROM kernel_sessions WHERE credential_id = $1 AND revoked_at IS NULL", UUID(client["id"])
        )
    assert left == 0


async def test_what_a_role_loses_a_token_loses(
    platform: TestPlatform, tenant: UUID, admin: Account, robot: dict[str, Any], client: dict[str, Any]
) -> None:
    http = bearer(platform, await ask(platform, tenant, client))
    assert (await http.get(ACCOUNTS)).status_code == 200
    await admin.client.put(f"{ACCOUNTS}/{robot['id']}/roles", json={"roles": []})
    assert (await http.get(ACCOUNTS)).status_code == 403
    assert (await http.get(ME)).status_code == 200


async def test_a_client_ends_a_token_of_its_own(
    platform: TestPlatform, tenant: UUID, admin: Account, client: dict[str, Any]
) -> None:
    answer = await ask(platform, tenant, client)
    token = answer.json()["access_token"]
    stranger = await make_credential(admin, await make_service(admin, name="Stranger"), READ, kind="client_secret")
    anonymous = platform.anonymous(tenant)

    async def end(by: dict[str, Any], what: str) -> httpx.Response:
        proof = {"client_id": by["account_id"], "client_secret": by["secret"]}
        return await anonymous.post(f"{TOKEN}/revoke", data={"token": what, **proof})

    assert (await end(stranger, token)).json()["error"] == "unauthorized_client"
    assert (await bearer(platform, answer).get(ME)).status_code == 200
    assert (await end(client, "no token")).status_code == 200
    assert (await end(client, token)).status_code == 200
    assert (await bearer(platform, answer).get(ME)).status_code == 401
    assert (await bearer(platform, await ask(platform, tenant, client)).get(ME)).status_code == 200


async def test_introspection_says_what_a_token_stands_for(
    platform: TestPlatform, tenant: UUID, admin: Account, robot: dict[str, Any], client: dict[str, Any]
) -> None:
    watcher = await make_credential(admin, robot, "account:token.introspect", kind="client_secret")
    anonymous = platform.anonymous(tenant)

    async def look(by: dict[str, Any], what: str) -> httpx.Response:
        proof = {"client_id": by["account_id"], "client_secret": by["secret"]}
        return await anonymous.post(f"{TOKEN}/introspect", data={"token": what, **proof})

    token = (await ask(platform, tenant, client, scope=READ)).json()["access_token"]
    found = (await look(watcher, token)).json()
    assert (found["active"], found["scope"], found["client_id"]) == (True, READ, client["account_id"])
    person = (await look(watcher, admin.token)).json()
    assert (person["active"], person["sub"]) == (True, str(admin.id))
    assert "client_id" not in person
    elsewhere = await platform.account(await platform.tenant())
    for nothing in ("no token", elsewhere.token):
        assert (await look(watcher, nothing)).json() == {"active": False}
    assert (await look(client, token)).json()["error"] == "unauthorized_client"


ALGORITHMS: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "PS256": RSAAlgorithm}


def jwk(private: Any, algorithm: str) -> dict[str, Any]:
    return ALGORITHMS[algorithm].to_jwk(private.public_key(), as_dict=True)


def assertion(client: dict[str, Any], private: Any, algorithm: str, **claims: Any) -> str:
    own = {
        "iss": client["account_id"], "sub": client["account_id"], "aud": f"{PUBLIC}{TOKEN}",
        "exp": int(time.time()) + 60, "jti": new_id().hex,
    }  # fmt: skip
    return jwt.encode(own | claims, private, algorithm=algorithm)


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (ed25519.Ed25519PrivateKey.generate, "EdDSA"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (lambda: rsa.generate_private_key(65537, 2048), "PS256"),
    ],
    ids=["EdDSA", "ES256", "PS256"],
)
async def test_a_client_signs_an_assertion_once(
    public: TestPlatform, tenant: UUID, admin: Account, robot: dict[str, Any], make: Any, algorithm: str
) -> None:
    private = make()
    client = await make_credential(admin, robot, READ, kind="public_key", public_key=jwk(private, algorithm))
    assert client["secret"] is None
    anonymous = public.anonymous(tenant)
    signed = assertion(client, private, algorithm)
    answers = await asyncio.gather(
        *(anonymous.post(TOKEN, data={**ASSERTION, "client_assertion": signed}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    good = next(answer for answer in answers if answer.status_code == 200)
    assert (await bearer(public, good).get(ME)).status_code == 200
    for wrong in (
        {"aud": "https://other.test"},
        {"exp": int(time.time()) - 60},
        {"exp": int(time.time()) + 86_400},
        {"iss": str(new_id())},
        {"jti": None},
    ):
        bad = {**ASSERTION, "client_id": client["account_id"]}
        claims = {name: value for name, value in wrong.items() if value is not None}
        text = assertion(client, private, algorithm, **claims)
        if wrong.get("jti", "") is None:
            payload = jwt.decode(text, options={"verify_signature": False})
            del payload["jti"]
            text = jwt.encode(payload, private, algorithm=algorithm)
        refused = await anonymous.post(TOKEN, data={**bad, "client_assertion": text})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), wrong
    forged = assertion(client, make(), algorithm)
    assert (await anonymous.post(TOKEN, data={**ASSERTION, "client_assertion": forged})).status_code == 401
    nothing = jwt.encode({"sub": client["account_id"]}, "", algorithm="none")
    assert (await anonymous.post(TOKEN, data={**ASSERTION, "client_assertion": nothing})).status_code == 401


async def test_used_assertions_are_kept_until_they_have_expired(
    public: TestPlatform, platform: TestPlatform, tenant: UUID, admin: Account, robot: dict[str, Any]
) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    client = await make_credential(admin, robot, READ, kind="public_key", public_key=jwk(private, "EdDSA"))
    anonymous = public.anonymous(tenant)
    old, new = (assertion(client, private, "EdDSA") for _ in range(2))
    for signed in (old, new):
        assert (await anonymous.post(TOKEN, data={**ASSERTION, "client_assertion": signed})).status_code == 200
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE kernel_client_assertions SET expires_at = now() - interval '2 hours' WHERE tenant_id = $1"
            " AND digest = $2",
            tenant,
            hashlib.sha256(jwt.decode(old, options={"verify_signature": False})["jti"].encode()).digest(),
        )
    async with platform.work(platform.system(tenant)) as work:
        await work.enqueue(DELETE_USED_ASSERTIONS, DeleteUsedAssertions())
    await platform.drain()
    async with platform.work(platform.system(tenant)) as work:
        assert await work.fetchval("SELECT count(*) FROM kernel_client_assertions") == 1
    assert (await anonymous.post(TOKEN, data={**ASSERTION, "client_assertion": new})).status_code == 401


async def test_public_keys_are_public_and_of_one_client(admin: Account, robot: dict[str, Any]) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    path = f"{SERVICES}/{robot['id']}/credentials"
    body = {"label": "x", "scopes": [READ], "kind": "public_key"}
    secret = OKPAlgorithm.to_jwk(private, as_dict=True)
    small = jwk(rsa.generate_private_key(65537, 1024), "PS256")  # too small, to be refused
    for wrong in (secret, small, {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, None):
        assert (await admin.client.post(path, json=body | {"public_key": wrong})).status_code == 422
    assert (await admin.client.post(path, json=body | {"public_key": jwk(private, "EdDSA")})).status_code == 201
    again = await admin.client.post(path, json=body | {"public_key": jwk(private, "EdDSA")})
    assert (again.status_code, again.json()["code"]) == (409, "auth.public_key_taken")


async def test_clients_find_what_there_is(platform: TestPlatform, public: TestPlatform) -> None:
    found = (await public.client().get("/.well-known/oauth-authorization-server")).json()
    assert (found["issuer"], found["token_endpoint"]) == (PUBLIC, f"{PUBLIC}{TOKEN}")
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert READ in found["scopes_supported"]
    local = (await platform.client().get("/.well-known/oauth-authorization-server")).json()
    assert local["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]


async def test_what_clients_do_is_on_record(platform: TestPlatform, tenant: UUID, client: dict[str, Any]) -> None:
    await ask(platform, tenant, client)
    await ask(platform, tenant, client | {"account_id": str(new_id())})
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:token.issue")
    refused, done = page.items
    assert (done.outcome, done.actor_id, done.object_id) == ("success", UUID(client["account_id"]), client["id"])
    assert (refused.outcome, refused.reason) == ("refused", "bad client credentials")
