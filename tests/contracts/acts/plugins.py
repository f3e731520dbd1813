"""What people do with the built-in plugins."""

import hashlib
import hmac
import json

import httpx
from pegboard_sdk.ids import new_id

from tests.contracts.acts.site import Acts, Site, key
from tests.plugins.ai_providers.factories import COMPLETIONS, request, set_up
from tests.plugins.ai_providers.peer import Peer, chunk, events
from tests.plugins.creation_studio.factories import GIGS, ORDERS, act, draft, draft_body, fund, place, publish
from tests.plugins.finance.factories import fund as fund_escrow
from tests.plugins.finance.factories import held_deal, open_deal
from tests.support.platform import Account

__all__ = ("ACTS",)

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
GOVERNANCE = "/api/v1/governance"
PURPOSE = {"slug": "newsletter", "title": "Newsletter", "notice": "We send you a letter each month."}
WEBHOOKS = "/api/v1/integrations/webhooks/github"
SECRET = "It's a Secret to Everybody"  # of a made-up repository  # pragma: allowlist secret


async def complete(site: Site) -> httpx.Response:
    answer = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    }  # fmt: skip
    async with Peer(json.dumps(answer).encode()) as peer:
        await set_up(site.platform, site.tenant, peer.base_url)
        return await (await site.member()).client.post(COMPLETIONS, json=request("Hello"))


async def stream(site: Site) -> httpx.Response:
    pieces = events(chunk("Hi."), chunk(finish="stop"), chunk(usage=USAGE), b"[DONE]")
    async with Peer(pieces, content_type="text/event-stream") as peer:
        await set_up(site.platform, site.tenant, peer.base_url)
        return await (await site.member()).client.post(f"{COMPLETIONS}/stream", json=request("Hello"))


async def create_gig(site: Site) -> httpx.Response:
    return await (await site.member()).client.post(GIGS, json=draft_body())


async def edit_gig(site: Site) -> httpx.Response:
    ada = await site.member()
    gig = await draft(ada)
    return await ada.client.patch(f"{GIGS}/{gig['id']}", json={"title": "Another title"}, headers={"If-Match": "*"})


async def publish_gig(site: Site) -> httpx.Response:
    ada = await site.member()
    gig = await draft(ada)
    return await ada.client.post(f"{GIGS}/{gig['id']}/publish")


async def archive_gig(site: Site) -> httpx.Response:
    ada = await site.member()
    gig = await publish(ada)
    return await ada.client.post(f"{GIGS}/{gig['id']}/archive")


async def delete_gig(site: Site) -> httpx.Response:
    ada = await site.member()
    gig = await draft(ada)
    return await ada.client.delete(f"{GIGS}/{gig['id']}")


async def restore_gig(site: Site) -> httpx.Response:
    ada = await site.member()
    gig = await draft(ada)
    await ada.client.delete(f"{GIGS}/{gig['id']}")
    return await ada.client.post(f"{GIGS}/{gig['id']}/restore")


async def place_order(site: Site) -> httpx.Response:
    gig = await publish(await site.member())
    return await (await site.member()).client.post(ORDERS, json={"gig_id": gig["id"]}, headers=key())


async def started_order(site: Site) -> tuple[Account, Account, dict[str, str]]:
    """A seller, a buyer and an order that was paid."""
    seller, buyer = await site.member(), await site.member()
    order = await place(buyer, await publish(seller))
    await fund(buyer, order)
    await site.platform.drain()
    return seller, buyer, order


async def deliver_order(site: Site) -> httpx.Response:
    seller, _, order = await started_order(site)
    return await act(seller, order, "deliver")


async def accept_order(site: Site) -> httpx.Response:
    seller, buyer, order = await started_order(site)
    await act(seller, order, "deliver")
    return await act(buyer, order, "accept")


async def cancel_order(site: Site) -> httpx.Response:
    seller, buyer = await site.member(), await site.member()
    return await act(buyer, await place(buyer, await publish(seller)), "cancel")


async def pay_escrow(site: Site) -> httpx.Response:
    return await fund_escrow(await open_deal(site.platform, site.tenant))


async def refund_escrow(site: Site) -> httpx.Response:
    deal = await held_deal(site.platform, site.tenant)
    return await (await site.administrator()).client.post(f"{deal.path}/refund", headers=key())


async def create_purpose(site: Site) -> httpx.Response:
    return await (await site.administrator()).client.post(f"{GOVERNANCE}/purposes", json=PURPOSE)


async def publish_notice(site: Site) -> httpx.Response:
    await create_purpose(site)
    return await (await site.administrator()).client.post(
        f"{GOVERNANCE}/purposes/newsletter/notices", json={"text": "We now send you two."}
    )


async def give_consent(site: Site) -> httpx.Response:
    await create_purpose(site)
    return await (await site.member()).client.put(f"{GOVERNANCE}/consents/newsletter", json={"notice_version": 1})


async def withdraw_consent(site: Site) -> httpx.Response:
    await create_purpose(site)
    ada = await site.member()
    await ada.client.put(f"{GOVERNANCE}/consents/newsletter", json={"notice_version": 1})
    return await ada.client.delete(f"{GOVERNANCE}/consents/newsletter")


async def send_webhook(site: Site) -> httpx.Response:
    body = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}}).encode()
    await site.platform.secret("integrations.github_webhook_secret", SECRET, tenant=site.tenant)
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": str(new_id()),
        "x-hub-signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
    }
    return await site.anonymous.post(WEBHOOKS, content=body, headers=headers)


async def replay_delivery(site: Site) -> httpx.Response:
    delivery = (await send_webhook(site)).json()["id"]
    return await (await site.administrator()).client.post(f"/api/v1/integrations/deliveries/{delivery}/replay")


ACTS: Acts = {
    "POST /api/v1/ai_providers/completions": complete,
    "POST /api/v1/ai_providers/completions/stream": stream,
    "POST /api/v1/creation_studio/gigs": create_gig,
    "PATCH /api/v1/creation_studio/gigs/{gig_id}": edit_gig,
    "DELETE /api/v1/creation_studio/gigs/{gig_id}": delete_gig,
    "POST /api/v1/creation_studio/gigs/{gig_id}/archive": archive_gig,
    "POST /api/v1/creation_studio/gigs/{gig_id}/publish": publish_gig,
    "POST /api/v1/creation_studio/gigs/{gig_id}/restore": restore_gig,
    "POST /api/v1/creation_studio/orders": place_order,
    "POST /api/v1/creation_studio/orders/{order_id}/accept": accept_order,
    "POST /api/v1/creation_studio/orders/{order_id}/cancel": cancel_order,
    "POST /api/v1/creation_studio/orders/{order_id}/deliver": deliver_order,
    "POST /api/v1/finance/escrows/{escrow_id}/fund": pay_escrow,
    "POST /api/v1/finance/escrows/{escrow_id}/refund": refund_escrow,
    "POST /api/v1/governance/purposes": create_purpose,
    "POST /api/v1/governance/purposes/{slug}/notices": publish_notice,
    "PUT /api/v1/governance/consents/{slug}": give_consent,
    "DELETE /api/v1/governance/consents/{slug}": withdraw_consent,
    "POST /api/v1/integrations/webhooks/{provider}": send_webhook,
    "POST /api/v1/integrations/deliveries/{delivery_id}/replay": replay_delivery,
}
