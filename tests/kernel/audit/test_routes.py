"""The audit trail's administration over HTTP: for the caller's own marketplace, and each use of it on record."""

import json
from typing import Any
from uuid import UUID

import msgspec
from pegboard.audit.sealer import Sealer
from pegboard_sdk.services import AuditLog

from tests.kernel.audit.conftest import add_entries, tamper
from tests.support.asgi import Receiver
from tests.support.platform import TestPlatform


async def administrator(platform: TestPlatform, tenant: UUID) -> Any:
    return await platform.account(tenant, roles=("member", "administrator"))


async def test_verifying_ones_own_trail(platform: TestPlatform, tenant: UUID, sealer: Sealer, superuser: Any) -> None:
    ada = await administrator(platform, tenant)
    assert (await ada.client.get("/api/v1/admin/audit/head")).json()["code"] == "audit.nothing_sealed"
    await add_entries(platform, tenant, 2)
    await sealer.seal()
    head = (await ada.client.get("/api/v1/admin/audit/head")).json()
    answer = await ada.client.post("/api/v1/admin/audit/verifications", json={"heads": [head]})
    assert answer.status_code == 200
    assert (answer.json()["sound"], answer.json()["head"]) == (True, head)
    await tamper(superuser, [("DELETE FROM kernel_audit_seals WHERE tenant_id = $1", tenant)])
    answer = await ada.client.post("/api/v1/admin/audit/verifications", json={"heads": [head]})
    assert answer.json()["findings"][0]["kind"] == "cut_off"
    async with platform.work(platform.system(tenant)) as work:
        entries = (await work.service(AuditLog).search(work, action="account:audit.verify")).items
    assert [entry.after and entry.after["sound"] for entry in entries] == [False, True]
    assert {entry.actor_id for entry in entries} == {ada.id}


async def test_a_head_that_we_did_not_sign_is_not_given(
    platform: TestPlatform, tenant: UUID, sealer: Sealer, superuser: Any
) -> None:
    ada = await administrator(platform, tenant)
    await sealer.seal()
    await tamper(superuser, [("UPDATE kernel_audit_heads SET signature = $2 WHERE tenant_id = $1", tenant, bytes(64))])
    assert (await ada.client.get("/api/v1/admin/audit/head")).json()["code"] == "audit.trail_unsound"


async def test_exporting_ones_own_trail(platform: TestPlatform, tenant: UUID, sealer: Sealer) -> None:
    other = await platform.tenant()
    ada, mallory = await administrator(platform, tenant), await administrator(platform, other)
    await add_entries(platform, tenant, 2)
    await sealer.seal()
    answer = await ada.client.post("/api/v1/admin/audit/exports", json={})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["export", "head"]
    assert {line["entry"]["tenant_id"] for line in lines[1:-1]} == {str(tenant)}
    theirs = (await mallory.client.post("/api/v1/admin/audit/exports", json={})).text
    assert str(tenant) not in theirs
    head = {key: value for key, value in lines[-1].items() if key != "kind"}
    refused = await mallory.client.post("/api/v1/admin/audit/verifications", json={"heads": [head]})
    assert refused.status_code in (400, 422)
    async with platform.work(platform.system(tenant)) as work:
        (entry,) = (await work.service(AuditLog).search(work, action="account:audit.export")).items
    assert entry.actor_id == ada.id


async def test_exporting_a_trail_that_is_not_sound_breaks_off(
    platform: TestPlatform, tenant: UUID, sealer: Sealer, superuser: Any
) -> None:
    ada = await administrator(platform, tenant)
    await add_entries(platform, tenant, 1)
    await sealer.seal()
    await tamper(superuser, [("UPDATE kernel_audit_entries SET reason = 'x' WHERE tenant_id = $1", tenant)])
    headers = {"Authorization": f"Bearer {ada.token}", "Content-Type": "application/json"}
    async with Receiver(platform.app, "/api/v1/admin/audit/exports", body=b"{}", headers=headers) as answer:
        lines = (await answer.rest()).splitlines()
    assert not answer.whole
    assert [msgspec.json.decode(line)["kind"] for line in lines] == ["export"]
