"""Keys stay good when the master key is changed."""

import os

import pytest
from pegboard.database.urls import master_key_bytes
from pegboard.machines.errors import ApiKeyInvalid
from pegboard.machines.verification import CREDENTIALS, Machines
from pegboard.vault.vault import Vault

from tests.kernel.machines.conftest import make_key
from tests.support.platform import Account, TestPlatform


async def reseal(platform: TestPlatform, vault: Vault) -> int:
    async with platform.runtime.database.system_transaction() as connection:
        return await CREDENTIALS.reseal(connection, vault)


async def test_a_key_is_the_same_under_another_master_key(platform: TestPlatform, ada: Account) -> None:
    made = await make_key(ada, "account:self.read")
    database, old, new = platform.runtime.database, master_key_bytes(platform.config), os.urandom(32)
    later = Machines(database, Vault(new), lifetime=60, on_changed=lambda _: None)
    with pytest.raises(ApiKeyInvalid):
        await later.of_key(made["secret"])
    try:
        assert await reseal(platform, Vault(new, [old])) >= 1
        assert await reseal(platform, Vault(new, [old])) == 0
        assert (await later.of_key(made["secret"])).sub == ada.id
    finally:
        await reseal(platform, Vault(old, [new]))
