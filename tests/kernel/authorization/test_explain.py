"""Why somebody may or may not do something, and that it is what happens."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from pegboard.authorization.explain import explain
from pegboard_sdk.authorization import ObjectRule, ObjectVerdict
from pegboard_sdk.ids import new_id

from tests.kernel.authorization.factories import ADMINISTRATOR, PATH, code, edit
from tests.plugins.finance.factories import fund, open_deal
from tests.support.platform import Account, TestPlatform

READ, FUND, APPROVE = "finance:escrow.read", "finance:escrow.fund", "finance:refund.approve"


async def why(admin: Account, who: Account, permission: str, about: str | None = None) -> dict[str, Any]:
    parameters = {"account_id": str(who.id), "permission": permission} | ({"object": about} if about else {})
    answer = await admin.client.get(f"{PATH}/explain", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_roles_edits_and_raised_rights(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    said = await why(admin, ada, "finance:wallet.read")
    assert (said["allowed"], said["plugin"]) == (True, "finance")
    assert said["because"] == ["The role member grants finance:wallet.read, by default of finance."]
    assert {"method": "GET", "path": "/api/v1/finance/balance", "fresh": False} in said["routes"]
    assert said["session"]["open_sessions"] == 1
    await edit(admin, ("member", "finance:wallet.read", False), reason="closed for the audit")
    said = await why(admin, ada, "finance:wallet.read")
    assert not said["allowed"]
    assert said["because"][0] == "None of its roles (anonymous, member) grants finance:wallet.read."
    assert "closed for the audit" in said["because"][1]
    assert [(one["role"], one["source"]) for one in said["roles"]] == [("anonymous", "manifest"), ("member", "tenant")]
    body = {"account_id": str(ada.id), "reason": "on call", "expires_in": 600, "role": "administrator"}
    given = await admin.client.post(f"{PATH}/overrides", json=body)
    assert given.status_code == 201, given.text
    said = await why(admin, ada, "account:account.list")
    assert said["allowed"]
    assert "the account has the role until" in said["because"][0]


async def test_a_permission_that_was_raised(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    body = {"account_id": str(ada.id), "reason": "on call", "expires_in": 600, "permission": "account:account.list"}
    override = (await admin.client.post(f"{PATH}/overrides", json=body)).json()
    said = await why(admin, ada, "account:account.list")
    assert said["allowed"]
    assert [one["id"] for one in said["overrides"]] == [override["id"]]
    assert said["because"][0].endswith("on call")


async def test_an_objects_own_rule(platform: TestPlatform, tenant: UUID) -> None:
    admin, eve = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    deal = await open_deal(platform, tenant)
    about = f"finance.escrow:{deal.id}"
    for who, permission, visible, allowed in (
        (deal.payer, FUND, True, True),
        (deal.payee, FUND, True, False),
        (deal.payee, READ, True, True),
        (eve, READ, False, False),
        (admin, READ, True, True),
    ):
        said = await why(admin, who, permission, about)
        assert (said["object"]["visible"], said["object"]["allowed"]) == (visible, allowed)
        assert said["allowed"] == allowed
        if permission == READ:
            assert (await who.client.get(deal.path)).status_code == (200 if allowed else 404), "as it is explained"
    assert (await fund(deal, who=deal.payee)).status_code == 403
    assert not (await why(admin, deal.payer, READ, f"finance.escrow:{new_id()}"))["allowed"]
    assert not (await why(admin, deal.payer, READ, "finance.escrow:nonsense"))["allowed"]
    unknown = await why(admin, deal.payer, READ, "finance.wallet:1")
    assert (unknown["allowed"], unknown["object"]["known"]) == (True, False)


async def test_what_somebody_did_on_the_object(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    deal = await open_deal(platform, tenant)
    await fund(deal)
    said = await why(admin, deal.payer, APPROVE, f"finance.escrow:{deal.id}")
    assert not said["allowed"]
    assert [(one["rule"], one["kind"]) for one in said["segregation"]] == [("finance.payer_and_approver", "dynamic")]
    assert "own payment" in " ".join(said["because"])


async def test_a_disabled_account_does_nothing(platform: TestPlatform, tenant: UUID) -> None:
    admin, ada = await platform.account(tenant, ADMINISTRATOR), await platform.account(tenant)
    await admin.client.put(f"/api/v1/admin/accounts/{ada.id}/status", json={"status": "disabled"})
    said = await why(admin, ada, READ)
    assert not said["allowed"]
    assert said["because"][0] == "The account is disabled, so it can do nothing."
    assert said["session"] == {"status": "disabled", "open_sessions": 0, "last_proof": None}


async def test_a_fresh_proof_is_named(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    said = await why(admin, admin, "account:matrix.edit")
    assert "no older than 300 s (step-up); the last one is of " in said["because"][-1]


async def test_a_rule_that_fails_is_its_plugins_failure(platform: TestPlatform, tenant: UUID) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)

    async def fail(*_: Any) -> ObjectVerdict:
        raise ZeroDivisionError

    rule = ObjectRule(object_type="finance.escrow", judge=fail)
    registry = msgspec.structs.replace(platform.registry, object_rules={"finance.escrow": rule})
    async with platform.work(admin.principal) as work:
        work.registry = registry
        said = await explain(work, admin.id, READ, "finance.escrow:1")
    assert said.object is not None
    assert (said.object.known, said.allowed) == (False, True)
    assert "failed" in said.object.why


@pytest.mark.parametrize(
    ("parameters", "status", "expected"),
    [
        ({"account_id": str(new_id()), "permission": READ}, 404, "not_found"),
        ({"permission": "finance:nothing.do"}, 422, "invalid_input"),
        ({"permission": READ, "object": "nonsense"}, 422, "invalid_input"),
    ],
)
async def test_what_can_not_be_explained(
    platform: TestPlatform, tenant: UUID, parameters: dict[str, str], status: int, expected: str
) -> None:
    admin = await platform.account(tenant, ADMINISTRATOR)
    answer = await admin.client.get(f"{PATH}/explain", params={"account_id": str(admin.id), **parameters})
    assert (answer.status_code, code(answer)) == (status, expected)
