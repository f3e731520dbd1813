"""Where the administrator asks for consent, nothing is sent without it."""

import pytest

from tests.plugins.ai_providers.factories import ask, counted, newcomer, streamed, usage_of
from tests.support.aimock import AIMock
from tests.support.platform import Account, TestPlatform

PURPOSE = {"slug": "language_models", "title": "Language models", "notice": "Your texts are sent to a model."}
CONSENT = "/api/v1/governance/consents/language_models"


@pytest.fixture
async def bea(asking: TestPlatform, aimock: AIMock) -> Account:
    """Somebody where consent is asked for."""
    bea = await newcomer(asking, aimock.base_url)
    administrator = await asking.account(bea.tenant_id, ("administrator",))
    created = await administrator.client.post("/api/v1/governance/purposes", json=PURPOSE)
    assert created.status_code == 201, created.text
    return bea


async def test_given_it_is_sent_and_withdrawn_it_is_not(asking: TestPlatform, bea: Account, aimock: AIMock, tag: str):
    refused = await ask(bea, f"greet me {tag}")
    assert (refused.status_code, refused.json()["code"]) == (403, "ai_providers.consent_missing")
    assert CONSENT in refused.json()["detail"]
    assert (await bea.client.put(CONSENT, json={"notice_version": 1})).status_code == 200
    assert (await ask(bea, f"greet me {tag}")).status_code == 200
    assert (await bea.client.delete(CONSENT)).status_code == 204
    assert (await ask(bea, f"greet me {tag}")).status_code == 403
    async with streamed(asking, bea, f"greet me {tag}") as answer:
        assert answer.status == 403
    assert len(aimock.requests(tag)) == 1
    assert len(await usage_of(bea)) == 1
    assert await counted(bea) == (20, 0)


async def test_without_governance_nobody_can_have_consented(ungoverned: TestPlatform, aimock: AIMock, tag: str):
    ada = await newcomer(ungoverned, aimock.base_url)
    answer = await ask(ada, f"greet me {tag}")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_missing")
    assert aimock.requests(tag) == []
    assert await counted(ada) == (0, 0)
