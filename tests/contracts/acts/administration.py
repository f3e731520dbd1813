"""What administrators and operators do: rights, approvals, the audit trail, jobs, plugins."""

from typing import Any

import httpx
from pegboard.plugins import quarantine
from pegboard.plugins.quarantine import Failure

from tests.contracts.acts.site import Acts, Site, key
from tests.kernel.authorization.factories import PATH, edit
from tests.kernel.jobs.test_admin import JOBS, make_job
from tests.plugins.finance.factories import held_deal
from tests.support.fleet import overview, until
from tests.support.platform import Account

__all__ = ("ACTS", "OVER_LIMIT")

PLUGINS = "/api/v1/admin/plugins"
TOGGLED = "integrations"
OVER_LIMIT = 50_000
"""An escrow's amount, in minor units, whose refund takes two people."""


async def verify_trail(site: Site) -> httpx.Response:
    return await (await site.administrator()).client.post("/api/v1/admin/audit/verifications", json={})


async def export_trail(site: Site) -> httpx.Response:
    return await (await site.administrator()).client.post("/api/v1/admin/audit/exports", json={})


async def edit_matrix(site: Site) -> httpx.Response:
    return await edit(await site.administrator(), ("member", "account:account.list", True))


async def create_role(site: Site) -> httpx.Response:
    return await (await site.administrator()).client.post(f"{PATH}/roles", json={"name": "clerk", "summary": "x"})


async def describe_role(site: Site) -> httpx.Response:
    await create_role(site)
    return await (await site.administrator()).client.patch(
        f"{PATH}/roles/clerk", json={"summary": "keeps the books"}, headers={"If-Match": "*"}
    )


async def delete_role(site: Site) -> httpx.Response:
    await create_role(site)
    return await (await site.administrator()).client.delete(f"{PATH}/roles/clerk", headers={"If-Match": "*"})


async def segregate(site: Site) -> httpx.Response:
    rule = {"first": "account:account.list", "second": "account:role.grant", "summary": "two people"}
    return await (await site.administrator()).client.post(f"{PATH}/segregation", json=rule | {"object_type": "account"})


async def end_segregation(site: Site) -> httpx.Response:
    rule = (await segregate(site)).json()["id"]
    return await (await site.administrator()).client.delete(f"{PATH}/segregation/{rule}")


async def raise_rights(site: Site) -> httpx.Response:
    ada = await site.member()
    body = {"account_id": str(ada.id), "permission": "account:account.list", "reason": "on call", "expires_in": 600}
    return await (await site.administrator()).client.post(f"{PATH}/overrides", json=body)


async def end_override(site: Site) -> httpx.Response:
    override = (await raise_rights(site)).json()["id"]
    return await (await site.administrator()).client.post(f"{PATH}/overrides/{override}/end")


async def asked(site: Site) -> tuple[Account, str]:
    """Who asked for a refund that takes two people, and the path of the request."""
    deal = await held_deal(site.platform, site.tenant, OVER_LIMIT)
    ada = await site.administrator()
    answer = await ada.client.post(f"{deal.path}/refund", headers=key())
    assert answer.status_code == 202, answer.text
    return ada, answer.headers["location"]


async def approve(site: Site) -> httpx.Response:
    _, path = await asked(site)
    return await (await site.member("finance_controller")).client.post(f"{path}/approve", json={})


async def reject(site: Site) -> httpx.Response:
    _, path = await asked(site)
    return await (await site.member("finance_controller")).client.post(f"{path}/reject", json={"reason": "no"})


async def withdraw(site: Site) -> httpx.Response:
    ada, path = await asked(site)
    return await ada.client.post(f"{path}/withdraw")


async def redrive_job(site: Site) -> httpx.Response:
    job = await make_job(site.platform, site.tenant)
    return await (await site.operator()).client.post(f"{JOBS}/{job}/redrive")


async def look_at_memory(site: Site) -> httpx.Response:
    return await (await site.operator()).client.post("/api/v1/admin/memory-looks", json={"seconds": 0.1})


async def toggle(site: Site, verb: str) -> httpx.Response:
    boss = await site.operator()
    answer = await boss.client.post(f"{PLUGINS}/{TOGGLED}/{verb}")
    assert answer.status_code == 202, answer.text
    await settled(boss, answer.json()["revision"]["number"])
    return answer


async def settled(boss: Account, number: int) -> None:
    """Wait until a set of plugins runs."""

    async def look() -> bool:
        found: Any = await overview(boss)
        return (found["active"] or {}).get("number", 0) >= number

    await until(look)


async def disable_plugin(site: Site) -> httpx.Response:
    answer = await toggle(site, "disable")
    await toggle(site, "enable")
    return answer


async def enable_plugin(site: Site) -> httpx.Response:
    await toggle(site, "disable")
    return await toggle(site, "enable")


async def make_plan(site: Site) -> httpx.Response:
    return await (await site.operator()).client.post(f"{PLUGINS}/plans", json={"disable": [TOGGLED]})


async def apply_plan(site: Site) -> httpx.Response:
    plan = (await make_plan(site)).json()["id"]
    boss = await site.operator()
    answer = await boss.client.post(f"{PLUGINS}/plans/{plan}/apply")
    assert answer.status_code == 202, answer.text
    await settled(boss, answer.json()["revision"]["number"])
    await toggle(site, "enable")
    return answer


async def release_plugin(site: Site) -> httpx.Response:
    await toggle(site, "disable")
    async with site.platform.runtime.database.system_transaction() as connection:
        await quarantine.put(connection, TOGGLED, Failure("health", "it failed", "1.0.0"))
    answer = await (await site.operator()).client.post(f"{PLUGINS}/{TOGGLED}/release")
    await toggle(site, "enable")
    return answer


async def uninstall_plugin(site: Site) -> httpx.Response:
    await toggle(site, "disable")
    answer = await (await site.operator()).client.post(f"{PLUGINS}/{TOGGLED}/uninstall", json={"data": "keep"})
    await toggle(site, "enable")
    return answer


ACTS: Acts = {
    "POST /api/v1/admin/audit/verifications": verify_trail,
    "POST /api/v1/admin/audit/exports": export_trail,
    "PATCH /api/v1/admin/authorization/matrix": edit_matrix,
    "POST /api/v1/admin/authorization/roles": create_role,
    "PATCH /api/v1/admin/authorization/roles/{name}": describe_role,
    "DELETE /api/v1/admin/authorization/roles/{name}": delete_role,
    "POST /api/v1/admin/authorization/segregation": segregate,
    "DELETE /api/v1/admin/authorization/segregation/{rule_id}": end_segregation,
    "POST /api/v1/admin/authorization/overrides": raise_rights,
    "POST /api/v1/admin/authorization/overrides/{override_id}/end": end_override,
    "POST /api/v1/approvals/{approval_id}/approve": approve,
    "POST /api/v1/approvals/{approval_id}/reject": reject,
    "POST /api/v1/approvals/{approval_id}/withdraw": withdraw,
    "POST /api/v1/admin/jobs/{job_id}/redrive": redrive_job,
    "POST /api/v1/admin/memory-looks": look_at_memory,
    "POST /api/v1/admin/plugins/{name}/disable": disable_plugin,
    "POST /api/v1/admin/plugins/{name}/enable": enable_plugin,
    "POST /api/v1/admin/plugins/{name}/release": release_plugin,
    "POST /api/v1/admin/plugins/{name}/uninstall": uninstall_plugin,
    "POST /api/v1/admin/plugins/plans": make_plan,
    "POST /api/v1/admin/plugins/plans/{plan_id}/apply": apply_plan,
}
