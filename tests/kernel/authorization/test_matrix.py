"""Which role may do what: the plugins' defaults, and what a marketplace decided otherwise."""

import asyncio
import csv
import io
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pegboard_sdk.services import AuditLog

from tests.kernel.authorization.factories import ADMINISTRATOR, PATH, code, edit, read_matrix
from tests.support.platform import Account, TestPlatform

READ = "account:account.list"
ACCOUNTS = "/api/v1/admin/accounts"


def cell(matrix: dict[str, Any], role: str, permission: str) -> dict[str, Any] | None:
    return next((one for one in matrix["grants"] if (one["role"], one["permission"]) == (role, permission)), None)


async def test_it_shows_the_defaults_and_where_they_come_from(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    matrix, etag = await read_matrix(admin)
    assert (matrix["version"], etag) == (0, '"0"')
    assert {(one["role"], one["permission"]) for one in matrix["grants"]} == {
        (role, name) for role, names in platform.registry.role_permissions.items() for name in names
    }
    assert all(one["granted"] and one["default"] and one["source"] == "manifest" for one in matrix["grants"])
    assert {one["name"] for one in matrix["permissions"]} == platform.registry.permissions.keys()
    found = cell(matrix, "member", "finance:wallet.read")
    assert found is not None
    assert found["plugin"] == "finance"
    counts = {role["name"]: role["accounts"] for role in matrix["roles"]}
    assert (counts["member"], counts["administrator"], counts["operator"]) == (1, 1, 0)


async def test_what_is_granted_counts_at_once_and_so_does_what_is_withdrawn(
    platform: TestPlatform, tenant: UUID
) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    stranger = await platform.account(await platform.tenant())
    assert (await ada.client.get(ACCOUNTS)).status_code == 403
    granted = await edit(admin, ("member", READ, True), reason="everybody may look")
    assert granted.status_code == 200, granted.text
    assert (await ada.client.get(ACCOUNTS)).status_code == 200
    assert (await stranger.client.get(ACCOUNTS)).status_code == 403, "another marketplace's matrix is its own"
    found = cell(granted.json(), "member", READ)
    assert found is not None
    assert (found["source"], found["granted"], found["default"]) == ("tenant", True, False)
    assert (found["edited_by"], found["reason"]) == (str(admin.id), "everybody may look")
    taken = await edit(admin, ("member", READ, None), ("member", "finance:wallet.read", False))
    assert cell(taken.json(), "member", READ) is None
    assert (await ada.client.get(ACCOUNTS)).status_code == 403
    assert (await ada.client.get("/api/v1/finance/balance")).status_code == 403
    back = await edit(admin, ("member", "finance:wallet.read", True))
    assert (cell(back.json(), "member", "finance:wallet.read") or {})["source"] == "manifest"
    assert (await ada.client.get("/api/v1/finance/balance")).status_code == 200


async def test_each_edit_is_on_record(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    await edit(admin, ("member", READ, True), ("member", "finance:wallet.read", False), reason="an experiment")
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action="account:matrix.edit")
    (entry,) = page.items
    assert (entry.actor_id, entry.object_type, entry.object_id) == (admin.id, "role", "member")
    assert entry.before == {READ: False, "finance:wallet.read": True}
    assert entry.after == {READ: True, "finance:wallet.read": False, "reason": "an experiment"}


async def test_an_edit_is_based_on_what_was_read(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    _, etag = await read_matrix(admin)
    body = {"changes": [{"role": "member", "permission": READ, "granted": True}], "reason": "x"}
    missing = await admin.client.patch(f"{PATH}/matrix", json=body)
    assert (missing.status_code, code(missing)) == (428, "if_match_required")
    assert (await edit(admin, ("member", READ, True), etag=etag)).status_code == 200
    stale = await edit(admin, ("member", READ, None), etag=etag)
    assert (stale.status_code, code(stale)) == (412, "stale_version")


async def test_of_two_edits_at_once_one_counts(platform: TestPlatform, tenant: UUID) -> None:
    admin, other = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant, ADMINISTRATOR)
    answers = await asyncio.gather(
        edit(admin, ("member", READ, True), etag='"0"'),
        edit(other, ("member", "finance:wallet.read", False), etag='"0"'),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        (("member", "kernel:job.read", True), 403, "authorization.platforms_own"),
        (("operator", "finance:wallet.read", True), 403, "authorization.platforms_own"),
        (("operator", "kernel:job.read", False), 403, "authorization.platforms_own"),
        (("nobody", READ, True), 422, "invalid_input"),
        (("member", "finance:nothing.do", True), 422, "invalid_input"),
        (("anonymous", "finance:wallet.read", True), 422, "invalid_input"),
        (("administrator", "account:role.grant", False), 409, "authorization.way_back_in"),
        (("administrator", "account:matrix.edit", False), 409, "authorization.way_back_in"),
        (("administrator", "account:matrix.read", False), 409, "authorization.way_back_in"),
    ],
)
async def test_what_nobody_may_edit(
    platform: TestPlatform, tenant: UUID, change: tuple[str, str, bool], status: int, expected: str
) -> None:
    operator = await platform.account(tenant, (*ADMINISTRATOR, "operator"))
    answer = await edit(operator, ("member", READ, True), change)
    assert (answer.status_code, code(answer)) == (status, expected)
    matrix, etag = await read_matrix(operator)
    assert etag == '"0"', "all changes, or none"
    assert cell(matrix, "member", READ) is None


async def test_the_platforms_permissions_stay_its_own_whoever_writes_the_row(
    platform: TestPlatform, tenant: UUID
) -> None:
    for role, permission, granted in (
        ("member", "kernel:job.read", True),
        ("operator", "finance:wallet.read", True),
        ("administrator", "account:role.grant", False),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            async with platform.work(platform.system(tenant)) as work:
                await work.execute(
                    "INSERT INTO kernel_permission_edits (id, tenant_id, role, permission, granted, reason)"
                    " VALUES (gen_random_uuid(), $1, $2, $3, $4, '')",
                    tenant,
                    role,
                    permission,
                    granted,
                )


async def test_nobody_gives_what_they_do_not_hold(platform: TestPlatform, tenant: UUID) -> None:
    """An administrator who withdrew something from their own role can undo that, and give it to nobody else before."""
    admin = await platform.account(tenant, ADMINISTRATOR)
    refund = "finance:escrow.refund"
    assert (await edit(admin, ("administrator", refund, False))).status_code == 200
    refused = await edit(admin, ("member", refund, True))
    assert (refused.status_code, code(refused)) == (403, "authorization.not_held")
    assert refund in refused.json()["detail"]
    assert (await edit(admin, ("administrator", refund, None))).status_code == 200
    assert (await edit(admin, ("member", refund, True))).status_code == 200


async def editor(platform: TestPlatform, tenant: UUID, admin: Account) -> Account:
    """Somebody who may edit the matrix and give roles, and little else."""
    assert (await admin.client.post(f"{PATH}/roles", json={"name": "registrar"})).status_code == 201
    made = await edit(
        admin,
        ("registrar", "account:matrix.edit", True),
        ("registrar", "account:matrix.read", True),
        ("registrar", "account:role.grant", True),
    )
    assert made.status_code == 200, made.text
    return await platform.account(tenant, ("member", "registrar"))


async def test_who_may_edit_can_not_make_themselves_an_administrator(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    registrar, ada = await editor(platform, tenant, admin), await platform.account(tenant)
    for answer in (
        await edit(registrar, ("registrar", "finance:ledger.read", True)),
        await edit(registrar, ("member", "account:account.disable", True)),
        await registrar.client.put(f"{ACCOUNTS}/{registrar.id}/roles", json={"roles": ["registrar", "administrator"]}),
        await registrar.client.put(f"{ACCOUNTS}/{ada.id}/roles", json={"roles": ["administrator"]}),
    ):
        assert (answer.status_code, code(answer)) == (403, "authorization.not_held")
    given = await registrar.client.put(f"{ACCOUNTS}/{ada.id}/roles", json={"roles": ["registrar"]})
    assert given.json()["roles"] == ["member", "registrar"]


async def test_roles_are_made_described_used_and_deleted(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    made = await admin.client.post(f"{PATH}/roles", json={"name": "support", "summary": "Answers people."})
    assert (made.status_code, made.json()["kind"], made.headers["ETag"]) == (201, "custom", '"1"')
    for name in ("support", "administrator", "finance_clerk"):
        taken = await admin.client.post(f"{PATH}/roles", json={"name": name})
        assert (taken.status_code, code(taken)) == (409, "authorization.role_taken")
    described = await admin.client.patch(
        f"{PATH}/roles/support", json={"summary": "Helps."}, headers={"If-Match": made.headers["ETag"]}
    )
    assert (described.status_code, described.json()["summary"]) == (200, "Helps.")
    assert (await edit(admin, ("support", READ, True))).status_code == 200
    given = await admin.client.put(f"{ACCOUNTS}/{ada.id}/roles", json={"roles": ["support"]})
    assert given.status_code == 200, given.text
    listed = (await admin.client.get(f"{PATH}/roles")).json()["roles"]
    assert {"name": "support", "kind": "custom", "summary": "Helps.", "accounts": 1} in listed
    any_version = {"If-Match": "*"}
    used = await admin.client.delete(f"{PATH}/roles/support", headers=any_version)
    assert (used.status_code, code(used)) == (409, "authorization.role_in_use")
    await admin.client.put(f"{ACCOUNTS}/{ada.id}/roles", json={"roles": []})
    assert (await admin.client.delete(f"{PATH}/roles/support", headers=any_version)).status_code == 204
    matrix, _ = await read_matrix(admin)
    assert not [one for one in matrix["grants"] if one["role"] == "support"]
    gone = await admin.client.put(f"{ACCOUNTS}/{ada.id}/roles", json={"roles": ["support"]})
    assert gone.status_code == 422
    for name in ("support", "administrator"):
        answer = await admin.client.delete(f"{PATH}/roles/{name}", headers=any_version)
        assert answer.status_code == 404


async def test_it_is_exported(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    await edit(admin, ("member", "finance:wallet.read", False), reason="=HYPERLINK(1)")
    matrix, _ = await read_matrix(admin)
    as_json = await admin.client.get(f"{PATH}/matrix.json")
    assert as_json.json() == matrix
    assert as_json.headers["Content-Disposition"] == 'attachment; filename="permission-matrix.json"'
    as_csv = await admin.client.get(f"{PATH}/matrix.csv")
    assert as_csv.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [(row["role"], row["permission"]) for row in rows] == [
        (one["role"], one["permission"]) for one in matrix["grants"]
    ]
    (edited,) = [row for row in rows if row["source"] == "tenant"]
    assert (edited["granted"], edited["default"], edited["reason"]) == ("no", "yes", "'=HYPERLINK(1)")


async def test_members_see_and_change_nothing(platform: TestPlatform, tenant: UUID) -> None:
    ada = await platform.account(tenant)
    assert (await ada.client.get(f"{PATH}/matrix")).status_code == 403
    assert (await edit(ada, ("member", READ, True))).status_code == 403
