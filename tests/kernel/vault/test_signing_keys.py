"""The keys that sign access tokens move to a new master key with everything else."""

import os

import msgspec
import pytest
from pegboard.database.urls import master_key_bytes
from pegboard.identity.keys import SIGNING_KEYS, KeyRing
from pegboard.vault.errors import MasterKeyUnknown
from pegboard.vault.vault import Vault
from pegboard_sdk.settings import Secret

from tests.support.platform import TestPlatform


async def test_they_stay_the_same_under_another_master_key(platform: TestPlatform) -> None:
    database, old, new = platform.runtime.database, master_key_bytes(platform.config), os.urandom(32)
    kid = platform.runtime.authenticator.keys.signing.kid
    with pytest.raises(MasterKeyUnknown):
        await KeyRing(database, Vault(new)).load()
    try:
        async with database.system_transaction() as connection:
            assert await SIGNING_KEYS.reseal(connection, Vault(new, [old])) >= 1
            assert await SIGNING_KEYS.reseal(connection, Vault(new, [old])) == 0
        moved = KeyRing(database, Vault(new))
        await moved.load()
        assert moved.signing.kid == kid
    finally:
        async with database.system_transaction() as connection:
            await SIGNING_KEYS.reseal(connection, Vault(old, [new]))


def test_the_configuration_names_the_earlier_keys(platform: TestPlatform) -> None:
    old = os.urandom(32)
    sealed = Vault(old).encrypt(b"text", associated_data=b"row")
    secrets = msgspec.structs.replace(platform.config.secrets, earlier_master_keys=[Secret(old.hex())])
    vault = Vault.from_config(msgspec.structs.replace(platform.config, secrets=secrets))
    assert vault.decrypt(sealed, associated_data=b"row") == b"text"
