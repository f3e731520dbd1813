"""The main job: one whole marketplace transaction through five plugins, each step checked."""

import hashlib
import hmac
import json
from typing import Any

from pegboard_sdk import new_id

from tests.e2e.demo.api import Person, Transcript, expect
from tests.e2e.demo.processes import Platform

__all__ = ("play",)

STUDIO, FINANCE, GOVERNANCE = "/api/v1/creation_studio", "/api/v1/finance", "/api/v1/governance"
INTEGRATIONS, AI = "/api/v1/integrations", "/api/v1/ai_providers"
PRICE = {"amount": 24_999, "currency": "EUR"}
FEE_BPS = 1_000
WEBHOOK_SECRET = "integrations.github_webhook_secret"  # where it is, not what
MODEL_URL = "ai_providers.openai_base_url"


def money(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d} EUR"


class Story:
    """The people and what they leave behind for later steps."""

    def __init__(self, platform: Platform, ai_url: str, transcript: Transcript) -> None:
        self.platform = platform
        self.ai_url = ai_url
        self.say = transcript
        self.run = new_id().hex[-10:]
        self.password = f"a long enough passphrase {self.run}"
        self.client, self.provider, self.admin, self.nobody = (
            Person(name, platform.url, transcript) for name in ("client", "provider", "administrator", "anybody")
        )

    def close(self) -> None:
        for person in (self.client, self.provider, self.admin, self.nobody):
            person.close()

    def register(self) -> None:
        self.say.step("A client and a provider register and log in")
        self.accounts: dict[str, str] = {}
        for person, name in ((self.client, "Clara Client"), (self.provider, "Pavel Provider")):
            email = f"{person.name}-{self.run}@example.com"
            body = {"email": email, "password": self.password, "display_name": name}
            self.accounts[person.name] = person.post("/api/v1/auth/register", body)["id"]
            person.log_in(email, self.password)
            expect(person.get("/api/v1/auth/me")["id"] == self.accounts[person.name], "/auth/me is somebody else")
        self.admin.log_in(self.platform.administrator, self.platform.password)
        self.before = self.fees()

    def publish(self) -> None:
        self.say.step("The provider drafts a gig, tags it from a taxonomy and publishes it")
        terms = self.provider.get("/api/v1/taxonomies/skills/terms", q="logo")["items"]
        expect(terms, "the taxonomy has no skill that begins with “logo”")
        self.say.line(f"tag: {terms[0]['label']}")
        draft = self.provider.post(
            f"{STUDIO}/gigs",
            {
                "title": f"Logo design, vector files included {self.run}",
                "description": "Three drafts, two rounds of changes, delivered as SVG.",
                "price": PRICE,
                "delivery_days": 5,
                "tags": [terms[0]["slug"]],
            },
        )
        self.gig = draft["id"]
        expect(draft["state"] == "draft", "a new gig is no draft")
        self.nobody.get(f"{STUDIO}/gigs/{self.gig}", status=404)
        self.say.line("nobody else sees the draft")
        published = self.provider.post(f"{STUDIO}/gigs/{self.gig}/publish", status=200)
        expect(published["state"] == "published", "the gig is not published")

    def search(self) -> None:
        self.say.step("It appears in search")
        found = self.nobody.get(f"{STUDIO}/gigs/search", q=f"vector logo {self.run}")["items"]
        expect([gig["id"] for gig in found] == [self.gig], f"search found {found}")
        self.say.line(f"“{found[0]['title']}”, {money(found[0]['price']['amount'])}")

    def order(self) -> None:
        self.say.step("The client orders it and funds the escrow through the sandbox payment provider")
        order = self.client.post(f"{STUDIO}/orders", {"gig_id": self.gig, "note": "A heron, please."}, key=True)
        self.order_id, self.escrow_id = order["id"], order["escrow_id"]
        expect(order["state"] == "pending_payment", f"a new order is {order['state']}")
        pay = f"{FINANCE}/escrows/{self.escrow_id}/fund"
        self.client.post(pay, {"provider": "sandbox", "method": "card_declined"}, status=402, key=True)
        self.say.line("the first card is declined; the second one works")
        escrow = self.client.post(pay, {"provider": "sandbox", "method": "card_success"}, status=200, key=True)
        expect(escrow["state"] == "held", f"the escrow is {escrow['state']}")
        self.fee = escrow["fee"]["amount"]
        self.client.until(f"{STUDIO}/orders/{self.order_id}", "state", "in_progress")
        self.say.line("the order learned of it by an event, through the outbox and a worker")

    def deliver(self) -> None:
        self.say.step("The provider delivers, the client accepts")
        self.client.post(f"{STUDIO}/orders/{self.order_id}/accept", status=409, key=True)
        self.say.line("nothing can be accepted before it is delivered")
        delivered = self.provider.post(f"{STUDIO}/orders/{self.order_id}/deliver", {"message": "heron.svg"}, status=200)
        expect(delivered["state"] == "delivered", f"the order is {delivered['state']}")
        accepted = self.client.post(f"{STUDIO}/orders/{self.order_id}/accept", status=200, key=True)
        expect(accepted["state"] == "completed", f"the order is {accepted['state']}")

    def settle(self) -> None:
        self.say.step("The escrow is released: fee and balance are right to the cent, the ledger sums to zero")
        expect(self.client.get(f"{FINANCE}/escrows/{self.escrow_id}")["state"] == "released", "it is not released")
        expect(self.fee == round(PRICE["amount"] * FEE_BPS / 10_000), f"the fee is {self.fee}")
        balance = self.provider.get(f"{FINANCE}/balance")["wallets"]
        expect(balance == [{"amount": PRICE["amount"] - self.fee, "currency": "EUR"}], f"the balance is {balance}")
        lines = self.provider.get(f"{FINANCE}/statement")["items"]
        expect([line["money"]["amount"] for line in lines] == [PRICE["amount"] - self.fee], f"the statement is {lines}")
        earned = self.fees() - self.before
        expect(earned == self.fee, f"the platform earned {earned}")
        self.say.line(f"{money(PRICE['amount'])} = {money(balance[0]['amount'])} to the provider + {money(earned)} fee")

    def fees(self) -> int:
        """The platform's fees so far, off the trial balance, whose sums must be zero."""
        trial = self.admin.get(f"{FINANCE}/ledger/trial-balance")
        expect(
            all(total["amount"] == 0 for total in trial["sums"]), f"the ledger does not sum to zero: {trial['sums']}"
        )
        return sum(t["balance"] for t in trial["totals"] if t["purpose"] == "platform_fees" and t["currency"] == "EUR")

    def consent(self) -> None:
        self.say.step("Consent, given and withdrawn, shows in the history")
        slug = f"newsletter_{self.run}"
        purpose = {"slug": slug, "title": "Newsletter", "notice": "We write to you once a month. You can stop it."}
        self.admin.post(f"{GOVERNANCE}/purposes", purpose)
        self.client.put(f"{GOVERNANCE}/consents/{slug}", {"notice_version": 1})
        self.client.delete(f"{GOVERNANCE}/consents/{slug}")
        history = self.client.get(f"{GOVERNANCE}/consents/history", purpose=slug)["items"]
        expect([record["state"] for record in history] == ["withdrawn", "given"], f"the history is {history}")

    def webhook(self) -> None:
        self.say.step("A signed GitHub webhook is taken in once though sent twice")
        secret = new_id().hex
        self.platform.set_secret(WEBHOOK_SECRET, secret)
        body = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/heron"}}).encode()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": str(new_id()),
            "x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        }
        path = f"{INTEGRATIONS}/webhooks/github"
        first = self.nobody.post(path, content=body, headers=headers, status=202)
        second = self.nobody.post(path, content=body, headers=headers, status=202)
        expect((first["status"], second["status"]) == ("accepted", "duplicate"), f"{first}, {second}")
        self.nobody.post(path, content=body + b" ", headers=headers, status=401)
        self.say.line("with one byte more the signature does not fit")
        log = self.admin.get(f"{INTEGRATIONS}/deliveries")["items"]
        expect([d["id"] for d in log if d["delivery_id"] == headers["x-github-delivery"]] == [first["id"]], f"{log}")
        self.delivery = first["id"]

    def completion(self) -> None:
        self.say.step("A language model answers, and what it costs is metered")
        self.platform.set_secret(MODEL_URL, self.ai_url)
        question = [{"role": "user", "content": "In one sentence: what makes a good logo?"}]
        answer = self.client.post(f"{AI}/completions", {"messages": question, "max_tokens": 24}, status=200)
        expect(answer["content"].strip(), "the model said nothing")
        self.say.line(f"{answer['model']}: “{' '.join(answer['content'].split())}”")
        usage = answer["usage"]
        expect(usage["prompt_tokens"] > 0 and 0 < usage["completion_tokens"] <= 24, f"the usage is {usage}")
        expect(answer["estimated"] is False, "the tokens are estimated though the provider counts")
        quota = self.client.get(f"{AI}/quota")
        spent = usage["prompt_tokens"] + usage["completion_tokens"]
        expect((quota["used"], quota["reserved"]) == (spent, 0), f"the quota is {quota}")
        self.say.line(f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens of {quota['limit']} a day")
        self.completion_id = answer["id"]

    def audit(self) -> None:
        self.say.step("The audit trail shows all of it")
        for what, action, actor, object_id in (
            ("published", "creation_studio:gig.publish", "provider", self.gig),
            ("ordered", "creation_studio:order.place", "client", self.order_id),
            ("accepted", "creation_studio:order.accept", "client", self.order_id),
            ("released", "finance:escrow.release", "client", self.escrow_id),
            ("consented", "governance:consent.change", "client", None),
            ("taken in", "integrations:webhook.receive", None, self.delivery),
            ("answered", "ai_providers:completion.create", "client", self.completion_id),
        ):
            self.audited(what, action, actor and self.accounts[actor], object_id)

    def audited(self, what: str, action: str, actor: str | None, object_id: str | None) -> None:
        wanted = {"action": action, "actor": actor, "object_id": object_id, "outcome": "success"}
        found: list[dict[str, Any]] = self.admin.get(
            f"{GOVERNANCE}/audit", **{name: value for name, value in wanted.items() if value is not None}
        )["items"]
        expect(found, f"the audit trail does not show that something was {what} ({action})")


def play(platform: Platform, ai_url: str, transcript: Transcript) -> None:
    """Play all steps.

    Raises:
        Surprise: a step went otherwise than it must.
    """
    story = Story(platform, ai_url, transcript)
    try:
        for step in (
            story.register, story.publish, story.search, story.order, story.deliver, story.settle, story.consent,
            story.webhook, story.completion, story.audit,
        ):  # fmt: skip
            step()
    finally:
        story.close()
