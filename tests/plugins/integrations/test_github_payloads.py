"""GitHub's own example payloads, of every kind of event, are taken in and given back as they came."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pegboard_integrations.github import GitHub
from pegboard_sdk import Secret, new_id

from tests.plugins.integrations.test_webhooks import PATH, SECRET, signed, store_secret
from tests.support.platform import TestPlatform

EXAMPLES = (
    Path(__file__).parents[2] / "counterparties/node_modules/@octokit/webhooks-examples/api.github.com/index.json"
)


@pytest.fixture(scope="module")
def examples() -> list[tuple[str, dict[str, Any]]]:
    """Each kind of event with its example payloads."""
    if not EXAMPLES.exists():
        pytest.skip("GitHub's example payloads are not installed: make counterparties")
    kinds = json.loads(EXAMPLES.read_text())
    return [(kind["name"], payload) for kind in kinds for payload in kind["examples"]]


def test_every_example_is_read(examples: list[tuple[str, dict[str, Any]]]):
    assert len(examples) > 100
    for event, payload in examples:
        body = json.dumps(payload).encode()
        delivery = GitHub().verify(signed(body, event=event), body, Secret(SECRET))
        assert (delivery.event, delivery.payload) == (event, body)


async def test_one_of_each_kind_is_kept_as_it_came(
    platform: TestPlatform, tenant: UUID, examples: list[tuple[str, dict[str, Any]]]
):
    await store_secret(platform, tenant)
    administrator = await platform.account(tenant, ("member", "administrator"))
    sender = platform.anonymous(tenant)
    for event, payload in dict(examples).items():
        body = json.dumps(payload).encode()
        answer = await sender.post(PATH, content=body, headers=signed(body, delivery=str(new_id()), event=event))
        assert answer.status_code == 202, (event, answer.text)
        kept = await administrator.client.get(f"/api/v1/integrations/deliveries/{answer.json()['id']}")
        assert kept.json()["event"] == event
        assert kept.json()["payload"] == payload
