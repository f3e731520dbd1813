"""An answer in pieces: in order, counted once, and ended by whatever comes first."""

import asyncio
from typing import Any

import pytest
from pegboard_ai_providers.schemas import CompletionCreate
from pegboard_ai_providers.service import metering
from pegboard_ai_providers.service.completions import CompletionService
from pegboard_sdk.ai import ChatMessage

from tests.plugins.ai_providers.factories import (
    TEMPLATE_BOUND,
    counted,
    events_of,
    newcomer,
    read_event,
    stepped,
    streamed,
    usage_of,
)
from tests.plugins.ai_providers.peer import Peer, chunk, events
from tests.support.aimock import AIMock
from tests.support.platform import Account, TestPlatform

EVENTS = "text/event-stream"


async def test_pieces_come_in_order_then_what_was_used(platform: TestPlatform, ada: Account, aimock: AIMock, tag: str):
    async with streamed(platform, ada, f"greet me {tag}") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(EVENTS)
        assert answer.headers["x-accel-buffering"] == "no"
        seen = [event async for event in events_of(answer)]
    assert answer.whole
    assert [name for name, _ in seen] == ["piece", "piece", "done"]
    assert "".join(data.get("content", "") for _, data in seen) == "Good morning! What shall we build today?"
    (row,) = await usage_of(ada)
    assert seen[-1][1] == {
        "id": row["id"],
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 11, "completion_tokens": 9},
    }
    assert (row["state"], row["estimated"]) == ("settled", False)
    assert await counted(ada) == (20, 0)
    (sent,) = aimock.requests(tag)
    assert sent["stream_options"] == {"include_usage": True}


async def test_each_piece_is_sent_when_it_comes(platform: TestPlatform):
    hold = asyncio.Event()
    async with Peer(events(chunk(""), chunk("first")), content_type=EVENTS, hold=hold) as peer:
        ada = await newcomer(platform, peer.base_url)
        async with streamed(platform, ada, "hi") as answer:
            async with asyncio.timeout(10):
                assert read_event(await answer.piece() or b"") == ("piece", {"content": "first"})
            assert not peer.hung_up.is_set()


async def test_it_breaks_off_and_what_came_is_counted(platform: TestPlatform, ada: Account, tag: str):
    async with streamed(platform, ada, f"break off {tag}") as answer:
        seen = [event async for event in events_of(answer)]
    assert answer.whole
    assert [name for name, _ in seen] == ["piece", "error"]
    problem = seen[-1][1]
    assert (problem["status"], problem["code"]) == (502, "ai_providers.provider_failed")
    assert problem["request_id"] == answer.headers["x-request-id"]
    (row,) = await usage_of(ada)
    prompt = len(f"break off {tag}") + TEMPLATE_BOUND
    assert (row["state"], row["estimated"]) == ("settled", True)
    # One for the chunk that only names the role, and a token at most per byte.
    assert (row["prompt_tokens"], row["completion_tokens"]) == (prompt, 1 + len("This a"))
    assert await counted(ada) == (prompt + 7, 0)


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (events(b'{"error": {"message": "sk-planted-key"}}'), "ai_providers.provider_failed"),
        (events(b"nonsense"), "ai_providers.provider_answer_unreadable"),
        (b"data: " + b"x" * (8 * 1024 * 1024) + b"\n", "ai_providers.provider_answer_unreadable"),
        (b"", "ai_providers.provider_failed"),
    ],
    ids=["an error", "nonsense", "too much", "nothing more"],
)
async def test_it_goes_wrong_amid_the_answer(platform: TestPlatform, after: bytes, code: str):
    async with Peer(events(chunk("first")), after, content_type=EVENTS) as peer:
        ada = await newcomer(platform, peer.base_url)
        async with streamed(platform, ada, "hi") as answer:
            seen = [event async for event in events_of(answer)]
    assert [name for name, _ in seen] == ["piece", "error"]
    assert seen[-1][1]["code"] == code
    assert "sk-planted-key" not in str(seen)
    assert await counted(ada) == (2 + TEMPLATE_BOUND + 5, 0)


async def test_a_piece_that_takes_too_long_is_not_waited_for(impatient: TestPlatform):
    async with Peer(events(chunk("first")), content_type=EVENTS, hold=asyncio.Event()) as peer:
        ada = await newcomer(impatient, peer.base_url)
        async with streamed(impatient, ada, "hi") as answer:
            seen = [event async for event in events_of(answer)]
        async with asyncio.timeout(5):
            await peer.hung_up.wait()
    assert [name for name, _ in seen] == ["piece", "error"]
    assert "too long" in seen[-1][1]["detail"]
    assert await counted(ada) == (2 + TEMPLATE_BOUND + 5, 0)


async def test_who_hangs_up_stops_the_provider_and_pays_for_what_came(platform: TestPlatform):
    async with Peer(events(chunk("first")), content_type=EVENTS, hold=asyncio.Event()) as peer:
        ada = await newcomer(platform, peer.base_url)
        async with streamed(platform, ada, "hi") as answer:
            assert await answer.piece()
            assert await counted(ada) == (0, 2 + TEMPLATE_BOUND + 256)
            answer.hang_up()
            await answer.finished()
            assert not answer.whole
        async with asyncio.timeout(5):
            await peer.hung_up.wait()
    assert await counted(ada) == (2 + TEMPLATE_BOUND + 5, 0)
    (row,) = await usage_of(ada)
    assert (row["state"], row["estimated"]) == ("settled", True)


async def test_who_does_not_read_and_then_hangs_up_is_heard_of_at_once(platform: TestPlatform):
    """The iterators wait in their `yield`s then, each under another."""
    body = events(*[chunk("word")] * 50)
    async with Peer(body, content_type=EVENTS, hold=asyncio.Event()) as peer:
        ada = await newcomer(platform, peer.base_url)
        async with streamed(platform, ada, "hi", read=False) as answer:
            answer.hang_up()
            await answer.finished()
            used, reserved = await counted(ada)
        async with asyncio.timeout(5):
            await peer.hung_up.wait()
    assert used > 0
    assert reserved == 0


async def test_what_nobody_counts_is_guessed_and_said_so(platform: TestPlatform):
    async with Peer(events(chunk("äö"), chunk(finish="length"), b"[DONE]"), content_type=EVENTS) as peer:
        ada = await newcomer(platform, peer.base_url)
        async with streamed(platform, ada, "hi", max_tokens=3) as answer:
            seen = [event async for event in events_of(answer)]
    done = seen[-1][1]
    assert (done["estimated"], done["finish_reason"]) == (True, "length")
    assert done["usage"] == {"prompt_tokens": 2 + TEMPLATE_BOUND, "completion_tokens": 3}


async def test_lines_end_where_events_have_it_and_nowhere_else(platform: TestPlatform):
    """JSON may hold Unicode's line separators as they are, and servers split what they send anywhere."""
    text = "a\u2028b\u2029c\x85d\u000be"
    body = events(chunk(text), chunk(finish="stop"), b"[DONE]").replace(b"\n\n", b"\r\n\r\n")
    parts = [body[at : at + 1] for at in range(len(body))]
    async with Peer(b": a comment\n\nevent: x\n", *parts, content_type=f"{EVENTS}; charset=utf-8") as peer:
        ada = await newcomer(platform, peer.base_url)
        async with streamed(platform, ada, "hi") as answer:
            seen = [event async for event in events_of(answer)]
    assert "".join(data.get("content", "") for name, data in seen if name == "piece") == text
    assert seen[-1][0] == "done"


async def test_who_logs_out_meanwhile_still_pays(platform: TestPlatform):
    hold = asyncio.Event()
    usage: Any = {"prompt_tokens": 5, "completion_tokens": 1}
    body = events(chunk("first"), chunk(finish="stop"), chunk(usage=usage), b"[DONE]")
    async with Peer(body, content_type=EVENTS, hold=hold) as peer:
        ada = await newcomer(platform, peer.base_url)
        service = CompletionService(stepped(platform, ada))
        pieces = await service.stream(CompletionCreate(messages=[ChatMessage("user", "hi")]))
        assert (await anext(pieces)).content == "first"
        assert (await ada.client.post("/api/v1/auth/logout")).status_code < 300
        assert [piece.usage async for piece in pieces][-1] is not None
    assert await used(platform, ada) == (6, 0)


async def test_a_long_answer_keeps_its_reservation(
    platform: TestPlatform, ada: Account, monkeypatch: pytest.MonkeyPatch
):
    """As long as pieces come, nobody takes the answer's process for gone."""
    monkeypatch.setattr(metering, "RENEW_AFTER", 0.0)
    service = CompletionService(stepped(platform, ada))
    pieces = await service.stream(CompletionCreate(messages=[ChatMessage("user", "greet me")]))
    async with platform.work(platform.system(ada.tenant_id)) as work:
        await work.execute("UPDATE ai_providers_usage SET expires_at = now() - interval '1 second'")
    await anext(pieces)
    await anext(pieces)
    async with platform.work(platform.system(ada.tenant_id)) as work:
        assert await work.fetchval("SELECT expires_at > now() + interval '1 minute' FROM ai_providers_usage")
    await pieces.aclose()
    assert (await counted(ada))[1] == 0


async def used(platform: TestPlatform, account: Account) -> tuple[int, int]:
    async with platform.work(platform.system(account.tenant_id)) as work:
        row = await work.fetchrow("SELECT used_tokens, reserved_tokens FROM ai_providers_quotas")
    assert row is not None
    return row["used_tokens"], row["reserved_tokens"]
