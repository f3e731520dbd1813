"""What is in the database helps nobody to log in."""

import hashlib
from uuid import UUID

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pegboard.vault.store import SecretStore
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret

from tests.kernel.machines.conftest import make_credential, make_key, make_service
from tests.support.at_rest import dump
from tests.support.platform import PASSWORD, TestPlatform


async def test_secrets_tokens_and_passwords_are_not_in_the_database(
    platform: TestPlatform, tenant: UUID, database_url: str
) -> None:
    runtime = platform.runtime
    ada = await platform.account(tenant)
    anonymous = platform.anonymous(tenant)
    first = (await anonymous.post("/api/v1/auth/login", json={"email": ada.email, "password": PASSWORD})).json()
    second = (await anonymous.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    secret = f"a secret {new_id().hex}"
    async with runtime.database.system_transaction() as system:
        store = SecretStore(system, runtime.vault, actor=platform.system(tenant), request_id="test")
        await store.set("hello.key", Secret(secret), tenant_id=tenant)
    admin = await platform.account(tenant, ("member", "administrator"))
    robot = await make_service(admin)
    key = await make_key(ada, "account:self.read")
    client = await make_credential(admin, robot, "account:self.read", kind="client_secret")
    proof = {"client_id": robot["id"], "client_secret": client["secret"]}
    token = await anonymous.post("/api/v1/auth/token", data={"grant_type": "client_credentials", **proof})
    # An answer that is kept for a repeated request holds a key too.
    kept = await ada.client.post(
        f"/api/v1/auth/api-keys/{key['id']}/rotate", json={}, headers={"Idempotency-Key": new_id().hex}
    )
    private = runtime.authenticator.keys.signing.private
    assert isinstance(private, Ed25519PrivateKey)
    dumped = await dump(database_url)
    assert ada.email in dumped
    assert "$argon2id$" in dumped
    for name, text in {
        "password": PASSWORD,
        "refresh token": first["refresh_token"],
        "its child": second["refresh_token"],
        "refresh token without its prefix": first["refresh_token"].removeprefix("pgr_"),
        "access token": first["access_token"],
        "secret": secret,
        "secret in hex": secret.encode().hex(),
        "API key": key["secret"],
        "API key without its prefix": key["secret"].rpartition("_")[2],
        "digest of the API key": hashlib.sha256(key["secret"].encode()).hexdigest(),
        "API key that is kept for a repeated request": kept.json()["secret"],
        "client's secret": client["secret"],
        "client's access token": token.json()["access_token"],
        "signing key": private.private_bytes_raw().hex(),
        "signing key as text": private.private_bytes_raw().decode("latin-1"),
        "master key": platform.config.secrets.master_key.reveal(),
    }.items():
        assert text not in dumped, f"the {name} is in the database"


async def test_the_application_does_not_see_the_signing_keys(platform: TestPlatform, tenant: UUID) -> None:
    for statement in ("SELECT * FROM kernel_signing_keys", "DELETE FROM kernel_signing_keys"):
        try:
            async with platform.work(platform.system(tenant)) as work:
                await work.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        raise AssertionError(f"the application may: {statement}")
