"""A model's answer: what is sent, what comes back, and what is counted."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from pegboard_ai_providers.openai import OpenAICompatible
from pegboard_ai_providers.schemas import CompletionCreate
from pegboard_ai_providers.service.completions import CompletionService
from pegboard_sdk import new_id
from pegboard_sdk.ai import ChatMessage

from tests.plugins.ai_providers.factories import (
    COMPLETIONS,
    ROOT,
    TEMPLATE_BOUND,
    ask,
    counted,
    newcomer,
    request,
    set_up,
    stepped,
    usage_of,
    with_settings,
)
from tests.plugins.ai_providers.peer import Peer
from tests.support.aimock import AIMock
from tests.support.platform import Account, TestPlatform


async def test_it_is_metered_as_the_provider_counts(ada: Account, aimock: AIMock, tag: str):
    answer = await ask(ada, f"greet me {tag}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body == {
        "id": body["id"],
        "provider": "openai_compatible",
        "model": "smollm2",
        "content": "Good morning! What shall we build today?",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 11, "completion_tokens": 9},
        "estimated": False,
    }
    assert await counted(ada) == (20, 0)
    (row,) = await usage_of(ada)
    assert row["id"] == body["id"]
    assert (row["state"], row["prompt_tokens"], row["completion_tokens"], row["estimated"]) == ("settled", 11, 9, False)
    (sent,) = aimock.requests(tag)
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("smollm2", 256, 0.7)


async def test_what_was_asked_for_is_what_is_sent(ada: Account, aimock: AIMock, tag: str):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"greet me {tag}"}]
    body = {
        "messages": messages,
        "model": "big",
        "max_tokens": 17,
        "temperature": 1.25,
        "provider": "openai_compatible",
    }
    answer = await ada.client.post(COMPLETIONS, json=body)
    assert answer.json()["model"] == "big"
    (sent,) = aimock.requests(tag)
    assert sent["messages"] == messages
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("big", 17, 1.25)


async def test_others_hear_of_it_and_the_audit_shows_it(platform: TestPlatform, ada: Account):
    usage_id = UUID((await ask(ada, "greet me")).json()["id"])
    async with platform.runtime.database.system_transaction() as connection:
        event = await connection.fetchval(
            "SELECT payload::text FROM kernel_events WHERE tenant_id = $1 AND name = $2",
            ada.tenant_id,
            "ai_providers.completion_metered",
        )
        entry = await connection.fetchrow(
            "SELECT actor_id, object_id, outcome FROM kernel_audit_entries WHERE tenant_id = $1 AND action = $2",
            ada.tenant_id,
            "ai_providers:completion.create",
        )
    assert str(usage_id) in event
    assert (entry["actor_id"], entry["object_id"], entry["outcome"]) == (ada.id, str(usage_id), "success")


async def test_a_provider_that_does_not_count_is_counted_for(platform: TestPlatform, tenant: UUID):
    ada = await platform.account(tenant)
    async with Peer(b'{"choices": [{"message": {"content": "\xc3\xa4\xc3\xb6\xc3\xbc"}}]}') as peer:
        await set_up(platform, tenant, peer.base_url, key=None)
        answer = (await ask(ada, "héllo")).json()
    assert answer["content"] == "äöü"
    assert answer["estimated"]
    assert answer["usage"] == {"prompt_tokens": 6 + TEMPLATE_BOUND, "completion_tokens": 6}
    assert await counted(ada) == (12 + TEMPLATE_BOUND, 0)
    assert "authorization" not in peer.requests[0].lower()


async def test_what_is_guessed_is_never_more_than_was_set_aside(platform: TestPlatform, tenant: UUID):
    ada = await platform.account(tenant)
    async with Peer(b'{"choices": [{"message": {"content": "a long answer of a short token"}}]}') as peer:
        await set_up(platform, tenant, peer.base_url)
        answer = (await ask(ada, "hi", max_tokens=3)).json()
    assert answer["usage"]["completion_tokens"] == 3


async def test_an_address_in_the_settings_does_where_the_vault_has_none(platform: TestPlatform, tenant: UUID):
    ada = await platform.account(tenant)
    async with Peer(b'{"choices": [{"message": {"content": "here"}}]}') as peer:
        registry = with_settings(platform, providers=[OpenAICompatible(base_url=f"{peer.base_url}/")])
        service = CompletionService(stepped(platform, ada, registry))
        answer = await service.complete(CompletionCreate(messages=[ChatMessage("user", "hi")]))
    assert answer.content == "here"
    assert peer.requests[0].startswith("POST /v1/chat/completions HTTP/1.1")


async def test_the_same_key_is_answered_again_and_sent_once(ada: Account, aimock: AIMock, tag: str):
    key = str(new_id())
    first = await ask(ada, f"greet me {tag}", key=key)
    second = await ask(ada, f"greet me {tag}", key=key)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len(aimock.requests(tag)) == 1
    assert await counted(ada) == (20, 0)
    other = await ask(ada, f"greet me again {tag}", key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_one_key_twice_at_once_is_sent_once(ada: Account, aimock: AIMock, tag: str):
    key = str(new_id())
    answers = await asyncio.gather(*(ask(ada, f"take your time {tag}", key=key) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert len(aimock.requests(tag)) == 1


async def test_a_failure_leaves_the_key_free(ada: Account, aimock: AIMock, tag: str):
    key = str(new_id())
    for _ in range(2):
        assert (await ask(ada, f"fail {tag}", key=key)).status_code == 502
    assert len(aimock.requests(tag)) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "secret-model"}, "ai_providers.model_not_allowed"),
        ({"max_tokens": 101}, "ai_providers.model_not_allowed"),
        ({"provider": "nobody"}, "ai_providers.provider_unknown"),
    ],
)
async def test_what_is_not_offered_is_refused_and_not_sent(
    strict: TestPlatform, aimock: AIMock, tag: str, body: dict[str, Any], code: str
):
    ada = await newcomer(strict, aimock.base_url)
    for path in (COMPLETIONS, f"{COMPLETIONS}/stream"):
        answer = await ada.client.post(path, json=request(f"greet me {tag}", **body))
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert aimock.requests(tag) == []
    assert await usage_of(ada) == []


async def test_what_is_left_out_is_the_administrators_choice(strict: TestPlatform, aimock: AIMock, tag: str):
    ada = await newcomer(strict, aimock.base_url)
    assert (await ask(ada, f"greet me {tag}")).status_code == 200
    assert aimock.requests(tag)[0]["max_tokens"] == 100


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [{"role": "oracle", "content": "hi"}]},
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 0},
        {"messages": [{"role": "user", "content": "hi"}], "temperature": 2.5},
        {"messages": [{"role": "user", "content": "hi"}], "prompt": "hi"},
        {"messages": [{"role": "user", "content": "hi"}] * 201},
    ],
)
async def test_what_is_no_conversation_is_refused(ada: Account, body: dict[str, Any]):
    answer = await ada.client.post(COMPLETIONS, json=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"


async def test_a_model_whose_name_cannot_be_stored_is_not_asked(ada: Account, aimock: AIMock, tag: str):
    assert (await ask(ada, f"greet me {tag}", model="a\x00b")).status_code == 422
    assert aimock.requests(tag) == []


async def test_who_may_what(platform: TestPlatform, tenant: UUID, ada: Account):
    anonymous = platform.anonymous(tenant)
    administrator = await platform.account(tenant, ("administrator",))
    theirs = f"{ROOT}/accounts/{ada.id}/usage"
    await ask(ada, "greet me")
    for path in (f"{ROOT}/usage", f"{ROOT}/quota", theirs):
        assert (await anonymous.get(path)).status_code == 401
    for path in (COMPLETIONS, f"{COMPLETIONS}/stream"):
        assert (await anonymous.post(path, json=request("greet me"))).status_code == 401
    assert (await ada.client.get(theirs)).status_code == 403
    shown = await administrator.client.get(theirs)
    assert [row["state"] for row in shown.json()["items"]] == ["settled"]


async def test_usage_comes_in_pages_newest_first(ada: Account):
    ids = [(await ask(ada, "greet me")).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await ada.client.get(f"{ROOT}/usage", params=params)).json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    bad = await ada.client.get(f"{ROOT}/usage", params={"cursor": "nonsense"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_cursor")


async def test_another_tenant_sees_nothing_and_has_a_provider_of_its_own(platform: TestPlatform, ada: Account):
    await ask(ada, "greet me")
    elsewhere = await platform.tenant()
    eve = await platform.account(elsewhere, ("member", "administrator"))
    shown = await eve.client.get(f"{ROOT}/accounts/{ada.id}/usage")
    assert shown.json() == {"items": [], "next_cursor": None}
    assert (await ask(eve, "greet me")).json()["code"] == "ai_providers.provider_not_set_up"
    async with platform.work(eve) as work:
        for table in ("ai_providers_usage", "ai_providers_quotas"):
            assert await work.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", ada.id) == 0
            tag = await work.execute(f"UPDATE {table} SET updated_at = now() WHERE account_id = $1", ada.id)
            assert tag == "UPDATE 0"
