"""A provider fails: the caller hears which way and what to do, nothing of the provider's text, and pays nothing."""

import asyncio
import contextlib
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pegboard_ai_providers.openai import OpenAICompatible, _seconds
from pegboard_sdk import Secret, new_id
from pegboard_sdk.ai import ChatMessage, ChatRequest
from pegboard_sdk.errors import UpstreamFailed

from tests.plugins.ai_providers.factories import ask, counted, newcomer, set_up, stepped, streamed, usage_of
from tests.plugins.ai_providers.peer import Peer, chunk, events
from tests.support.aimock import KEY, AIMock
from tests.support.platform import Account, TestPlatform

EVENTS = "text/event-stream"
FAILURES = [
    ("be busy", 429, "ai_providers.provider_busy"),
    ("refuse the key", 502, "ai_providers.provider_failed"),
    ("refuse the request", 502, "ai_providers.provider_failed"),
    ("fail", 502, "ai_providers.provider_failed"),
    ("talk nonsense", 502, "ai_providers.provider_answer_unreadable"),
    ("hang up", 502, "ai_providers.provider_failed"),
]


async def ask_in_pieces(platform: TestPlatform, account: Account, text: str) -> tuple[int, dict[str, str], str]:
    async with streamed(platform, account, text) as answer:
        return answer.status, answer.headers, (await answer.rest()).decode()


@pytest.mark.parametrize(("how", "status", "code"), FAILURES)
async def test_each_failure_is_the_right_problem_and_costs_nothing(
    platform: TestPlatform, ada: Account, aimock: AIMock, tag: str, how: str, status: int, code: str
):
    whole = await ask(ada, f"{how} {tag}")
    pieces = await ask_in_pieces(platform, ada, f"{how} {tag}")
    for found, headers, text in ((whole.status_code, whole.headers, whole.text), pieces):
        assert (found, headers["content-type"]) == (status, "application/problem+json")
        assert f'"code":"{code}"' in text
        assert KEY not in text
        assert ("retry-after" in headers) == (status == 429)
    assert len(aimock.requests(tag)) == 2
    assert await counted(ada) == (0, 0)
    assert [row["state"] for row in await usage_of(ada)] == ["failed", "failed"]


async def test_a_wrong_key_is_the_administrators_to_mend(platform: TestPlatform, tenant: UUID, aimock: AIMock):
    """The key of the vault is the one that is sent: the provider takes no other."""
    await set_up(platform, tenant, aimock.base_url, key="sk-stolen")
    ada = await platform.account(tenant)
    refused = await ask(ada, "greet me")
    assert (refused.status_code, refused.json()["code"]) == (502, "ai_providers.provider_failed")
    assert "administrator" in refused.json()["detail"]
    await set_up(platform, tenant, aimock.base_url, key=f" {KEY}\n")
    assert (await ask(ada, "greet me")).status_code == 200


async def test_not_set_up_is_said(platform: TestPlatform, tenant: UUID):
    ada = await platform.account(tenant)
    answer = await ask(ada, "greet me")
    assert (answer.status_code, answer.json()["code"]) == (503, "ai_providers.provider_not_set_up")
    assert int(answer.headers["retry-after"]) > 0
    assert await counted(ada) == (0, 0)


async def test_who_takes_too_long_is_not_waited_for(impatient: TestPlatform, aimock: AIMock, tag: str):
    ada = await newcomer(impatient, aimock.base_url)
    whole = await ask(ada, f"take your time {tag}")
    status, _, text = await ask_in_pieces(impatient, ada, f"take your time {tag}")
    assert (whole.status_code, status) == (502, 502)
    assert "too long" in whole.json()["detail"]
    assert "too long" in text
    assert await counted(ada) == (0, 0)


async def test_an_answer_that_drips_is_not_waited_for_either(impatient: TestPlatform):
    """The time is for the whole answer, not for its next byte."""
    hold = asyncio.Event()
    async with Peer(b'{"choices": [', hold=hold) as peer:
        ada = await newcomer(impatient, peer.base_url)
        answer = await ask(ada, "hi")
        assert answer.status_code == 502
        async with asyncio.timeout(5):
            await peer.hung_up.wait()
    assert await counted(ada) == (0, 0)


async def test_nobody_answers_at_its_address(platform: TestPlatform):
    ada = await newcomer(platform, "http://127.0.0.1:1/v1")
    answer = await ask(ada, "greet me")
    assert (answer.status_code, answer.json()["code"]) == (502, "ai_providers.provider_failed")
    assert await counted(ada) == (0, 0)


@pytest.mark.parametrize(
    "base_url",
    ["http://127.0.0.1:port/v1", "ftp://127.0.0.1/v1", "127.0.0.1/v1", "http://127.0.0.1:99999/v1", "http:///v1"],
)
async def test_its_address_is_none(platform: TestPlatform, base_url: str):
    ada = await newcomer(platform, base_url)
    answer = await ask(ada, "greet me")
    assert (answer.status_code, answer.json()["code"]) == (503, "ai_providers.provider_not_set_up")
    assert await counted(ada) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": -5, "completion_tokens": 1}}',
        b'{"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 1e300, "completion_tokens": 1}}',
        b"[" * 100_000,
        b" " * (8 * 1024 * 1024 + 1),
    ],
    ids=lambda body: body[:70].decode(errors="replace"),
)
async def test_what_is_not_its_api_is_unreadable(platform: TestPlatform, body: bytes):
    async with Peer(body) as peer:
        ada = await newcomer(platform, peer.base_url)
        answer = await ask(ada, "hi")
    assert (answer.status_code, answer.json()["code"]) == (502, "ai_providers.provider_answer_unreadable")
    assert await counted(ada) == (0, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", EVENTS, "ai_providers.provider_failed"),
        (b": nothing\n\n", EVENTS, "ai_providers.provider_failed"),
        (events(b'{"error": {"message": "sk-planted-key"}}'), EVENTS, "ai_providers.provider_failed"),
        (events(b"nonsense"), EVENTS, "ai_providers.provider_answer_unreadable"),
        (events(b'{"choices": 7}'), EVENTS, "ai_providers.provider_answer_unreadable"),
        (b"data: " + b"x" * (8 * 1024 * 1024 + 1), EVENTS, "ai_providers.provider_answer_unreadable"),
        (events(chunk("hi"), b"[DONE]"), "application/json", "ai_providers.provider_answer_unreadable"),
    ],
)
async def test_what_is_no_stream_of_its_api_is_a_problem_before_anything_is_sent(
    platform: TestPlatform, body: bytes, content_type: str, code: str
):
    async with Peer(body, content_type=content_type) as peer:
        ada = await newcomer(platform, peer.base_url)
        status, headers, text = await ask_in_pieces(platform, ada, "hi")
    assert (status, headers["content-type"]) == (502, "application/problem+json")
    assert code in text
    assert KEY not in text
    assert await counted(ada) == (0, 0)


async def test_it_is_not_followed_elsewhere(platform: TestPlatform):
    """A redirect would carry the key and the texts to whoever it names."""
    async with Peer(b"{}") as other:
        async with Peer(status=307, headers=(f"location: {other.base_url}/chat/completions",)) as peer:
            ada = await newcomer(platform, peer.base_url)
            assert (await ask(ada, "hi")).status_code == 502
        assert other.requests == []


async def test_a_key_that_is_no_ascii_is_sent_and_not_shown(platform: TestPlatform, tenant: UUID):
    async with Peer(b'{"choices": [{"message": {"content": "hi"}}]}') as peer:
        await set_up(platform, tenant, peer.base_url, key="ключ")
        ada = await platform.account(tenant)
        assert (await ask(ada, "hi")).status_code == 200
        await set_up(platform, tenant, peer.base_url, key="two\nlines")
        refused = await ask(ada, "hi")
    assert refused.status_code == 502
    assert "lines" not in refused.text


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7), ("0.2", 1), ("-3", 1), ("99999999", 3600), ("inf", 30), ("nan", 30), ("1e999", 30),
     ("Wed, 21 Oct 2026 07:28:00 GMT", 30), ("", 30)],
)  # fmt: skip
def test_when_to_come_again_is_a_number_of_seconds(said: str, seconds: int):
    assert _seconds({"retry-after": said}) == seconds
    assert _seconds({}) == 30


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200) | st.from_regex(rb'\A\{"choices":\[.{0,80}\]\}\Z'), st.booleans())
async def test_whatever_a_provider_sends_is_an_answer_or_a_known_failure(
    platform: TestPlatform, body: bytes, in_pieces: bool
):
    provider = OpenAICompatible(base_url="").bind(stepped(platform, platform.system(new_id())))
    asked = ChatRequest(model="m", messages=[ChatMessage("user", "hi")], max_tokens=1)
    async with Peer(events(body) if in_pieces else body, content_type=EVENTS if in_pieces else "x/y") as peer:
        secrets = {"ai_providers.openai_base_url": Secret(peer.base_url)}
        with contextlib.suppress(UpstreamFailed):
            if in_pieces:
                _ = [piece async for piece in provider.stream(asked, secrets=secrets)]
            else:
                await provider.complete(asked, secrets=secrets)
