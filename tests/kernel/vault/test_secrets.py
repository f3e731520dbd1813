"""Secrets of tenants and of the platform, in the database."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest
from pegboard.database.urls import master_key_bytes
from pegboard.vault.errors import EnvelopeDamaged, MasterKeyUnknown
from pegboard.vault.inventory import ENVELOPES
from pegboard.vault.store import SECRETS, SecretStore, secret_row
from pegboard.vault.vault import Vault
from pegboard_sdk.ids import new_id
from pegboard_sdk.settings import Secret

from tests.support.platform import TestPlatform


@asynccontextmanager
async def store(platform: TestPlatform, tenant: UUID, vault: Vault | None = None) -> AsyncIterator[SecretStore]:
    async with platform.runtime.database.system_transaction() as connection:
        yield SecretStore(
            connection, vault or platform.runtime.vault, actor=platform.system(tenant), request_id=new_id().hex
        )


def fresh_name() -> str:
    return f"hello.key_{new_id().hex}"


async def read(platform: TestPlatform, tenant: UUID, name: str) -> str | None:
    async with platform.work(platform.system(tenant)) as work:
        secret = await work.secret(name)
    return secret.reveal() if secret else None


async def test_a_tenants_secret_comes_before_the_platforms(platform: TestPlatform, tenant: UUID) -> None:
    name, other = fresh_name(), await platform.tenant()
    assert await read(platform, tenant, name) is None
    async with store(platform, tenant) as secrets:
        assert await secrets.set(name, Secret("the platform's"), tenant_id=None)
    assert await read(platform, tenant, name) == "the platform's"
    async with store(platform, tenant) as secrets:
        assert await secrets.set(name, Secret("ours"), tenant_id=tenant)
    assert await read(platform, tenant, name) == "ours"
    assert await read(platform, other, name) == "the platform's"


async def test_replacing_and_removing_count_at_once(platform: TestPlatform, tenant: UUID) -> None:
    name = fresh_name()
    async with store(platform, tenant) as secrets:
        assert await secrets.set(name, Secret("one"), tenant_id=tenant)
        assert not await secrets.set(name, Secret("two"), tenant_id=tenant)
        assert [secret.name for secret in await secrets.list(tenant_id=tenant)] == [name]
    assert await read(platform, tenant, name) == "two"
    async with store(platform, tenant) as secrets:
        assert not await secrets.remove(name, tenant_id=None)
        assert await secrets.remove(name, tenant_id=tenant)
        assert not await secrets.remove(name, tenant_id=tenant)
    assert await read(platform, tenant, name) is None


async def test_a_row_copied_to_another_tenant_does_not_open(platform: TestPlatform, tenant: UUID) -> None:
    name, other = fresh_name(), await platform.tenant()
    async with store(platform, tenant) as secrets:
        await secrets.set(name, Secret("ours"), tenant_id=tenant)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute(
            "INSERT INTO kernel_secrets (id, tenant_id, name, key_id, envelope)"
            " SELECT $1, $2, name, key_id, envelope FROM kernel_secrets WHERE tenant_id = $3 AND name = $4",
            new_id(), other, tenant, name,
        )  # fmt: skip
    with pytest.raises(EnvelopeDamaged):
        await read(platform, other, name)


async def test_the_application_reads_secrets_and_writes_none(platform: TestPlatform, tenant: UUID) -> None:
    for statement in (
        "INSERT INTO kernel_secrets (id, tenant_id, name, key_id, envelope) VALUES ($1, $1, 'a.b', '', '')",
        "UPDATE kernel_secrets SET name = 'a.c' WHERE tenant_id = $1",
        "DELETE FROM kernel_secrets WHERE tenant_id = $1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with platform.work(platform.system(tenant)) as work:
                await work.execute(statement, tenant)


async def test_names_have_the_form_of_a_plugin_and_a_word(platform: TestPlatform, tenant: UUID) -> None:
    async with store(platform, tenant) as secrets:
        for name in ("", "key", "a.", ".b", "A.b", "a.b.c", "a b.c", "a.b\n"):
            with pytest.raises(ValueError, match="not a secret's name"):
                await secrets.set(name, Secret("x"), tenant_id=tenant)


async def test_rotation_brings_every_row_under_the_current_key(platform: TestPlatform, tenant: UUID) -> None:
    old, names = os.urandom(32), [fresh_name() for _ in range(5)]
    async with store(platform, tenant, Vault(old)) as secrets:
        for name in names:
            await secrets.set(name, Secret(name.upper()), tenant_id=tenant)
    with pytest.raises(MasterKeyUnknown):
        await read(platform, tenant, names[0])
    both = Vault(master_key_bytes(platform.config), [old])
    async with platform.runtime.database.system_transaction() as connection:
        assert (await SECRETS.by_key(connection))[Vault(old).key_id] == 5
        assert [await SECRETS.reseal(connection, both, batch=3) for _ in range(3)] == [3, 2, 0]
        assert Vault(old).key_id not in await SECRETS.by_key(connection)
    assert [await read(platform, tenant, name) for name in names] == [name.upper() for name in names]


async def test_secrets_are_read_while_the_master_key_is_changed(platform: TestPlatform, tenant: UUID) -> None:
    old, names, turns = os.urandom(32), [fresh_name() for _ in range(8)], 0
    both = Vault(master_key_bytes(platform.config), [old])
    async with store(platform, tenant, Vault(old)) as secrets:
        for name in names:
            await secrets.set(name, Secret(name.upper()), tenant_id=tenant)
    finished = asyncio.Event()

    async def reading() -> int:
        reads = 0
        while not finished.is_set():
            async with platform.runtime.database.transaction(tenant) as connection:
                rows = await connection.fetch("SELECT name, envelope FROM kernel_secrets WHERE name = ANY($1)", names)
            texts = {
                row["name"]: both.decrypt(row["envelope"], associated_data=secret_row(tenant, row["name"]))
                for row in rows
            }
            assert texts == {name: name.upper().encode() for name in names}
            reads += 1
        return reads

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(reading()) for _ in range(3)]
        while True:
            async with platform.runtime.database.system_transaction() as connection:
                if not await SECRETS.reseal(connection, both, batch=1):
                    break
            turns += 1
        finished.set()
    assert turns >= len(names)
    assert all(reader.result() > 0 for reader in readers)


async def test_nothing_that_is_sealed_is_forgotten_when_the_master_key_changes(platform: TestPlatform) -> None:
    async with platform.runtime.database.system_transaction() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'key_id'"
        )
    # These are signed, not sealed, by keys that follow from the master key: see docs/runbooks/master-key.md.
    signed = {"kernel_audit_heads", "kernel_audit_seals", "kernel_plugin_receipts"}
    assert {row["table_name"] for row in tables} - signed == {envelopes.table for envelopes in ENVELOPES}


async def test_changes_are_on_record_without_the_secret(platform: TestPlatform, tenant: UUID) -> None:
    name = fresh_name()
    async with store(platform, tenant) as secrets:
        await secrets.set(name, Secret("very secret"), tenant_id=tenant)
        await secrets.remove(name, tenant_id=tenant)
    async with platform.work(platform.system(tenant)) as work:
        rows = await work.fetch(
            "SELECT action, e::text AS whole FROM kernel_audit_entries e WHERE object_id = $1 ORDER BY id", name
        )
    assert [row["action"] for row in rows] == ["kernel:secret.set", "kernel:secret.remove"]
    assert not any("very secret" in row["whole"] for row in rows)
