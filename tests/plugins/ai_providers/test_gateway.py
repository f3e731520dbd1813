"""Language models for other plugins: within their manifests and somebody's quota, and on record."""

from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.work import SteppedWork
from pegboard_ai_providers.errors import ModelNotAllowed, QuotaExhausted
from pegboard_sdk import new_id
from pegboard_sdk.ai import ChatMessage
from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.manifest import Capabilities, Manifest
from pegboard_sdk.services import AuditLog, ModelGateway

from tests.plugins.ai_providers.factories import counted, set_up
from tests.plugins.ai_providers.peer import Peer, chunk, events
from tests.support.platform import Account, TestPlatform

ANSWER = (
    b'{"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],'
    b' "usage": {"prompt_tokens": 5, "completion_tokens": 2}}'
)
HELLO = [ChatMessage("user", "hello")]


@pytest.fixture
def registry(platform: TestPlatform) -> Registry:
    """The platform's plugins, one that may have models answer, and one that may not."""
    plugins = [
        LoadedPlugin(
            name=name,
            manifest=Manifest(
                name=name, summary=name, version="1", sdk=">=1", capabilities=Capabilities(ai_spend=spends)
            ),
            distribution="",
        )
        for name, spends in (("writer", True), ("miser", False))
    ]
    return compile_registry([*platform.registry.plugins, *plugins], platform.registry.skipped)


def acting(platform: TestPlatform, registry: Registry, who: Account | UUID, plugin: str = "writer") -> SteppedWork:
    principal = who.principal if isinstance(who, Account) else platform.system(who)
    return SteppedWork(platform.runtime, registry, principal, new_id().hex, plugin=plugin)


async def entries(platform: TestPlatform, tenant: UUID, action: str) -> list[dict[str, Any]]:
    await platform.runtime.trail.written()
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action=action, limit=100)
    return [entry.after or {} for entry in page.items]


async def test_an_answer_is_metered_and_on_record_with_who_asked(
    platform: TestPlatform, registry: Registry, tenant: UUID
):
    async with Peer(ANSWER) as peer:
        await set_up(platform, tenant, peer.base_url)
        ada = await platform.account(tenant)
        uow = acting(platform, registry, ada)
        answer = await uow.service(ModelGateway).complete(uow, HELLO, max_tokens=10)
    assert (answer.content, answer.usage.prompt_tokens, answer.usage.completion_tokens) == ("hi", 5, 2)
    assert await counted(ada) == (7, 0)
    (spent,) = await entries(platform, tenant, "ai_providers:completion.create")
    assert (spent["plugin"], spent["prompt_tokens"], spent["completion_tokens"]) == ("writer", 5, 2)
    (used,) = await entries(platform, tenant, "kernel:service.use")
    assert (used["plugin"], used["offered_by"], used["method"]) == ("writer", "ai_providers", "complete")
    (called,) = await entries(platform, tenant, "kernel:outbound.call")
    assert (called["plugin"], called["status"]) == ("ai_providers", 200)


async def test_so_is_one_in_pieces(platform: TestPlatform, registry: Registry, tenant: UUID):
    pieces = events(chunk("a"), chunk("b", finish="stop"), chunk(usage={"prompt_tokens": 5, "completion_tokens": 2}))
    async with Peer(pieces, content_type="text/event-stream") as peer:
        await set_up(platform, tenant, peer.base_url)
        ada = await platform.account(tenant)
        uow = acting(platform, registry, ada)
        async with aclosing(await uow.service(ModelGateway).stream(uow, HELLO, max_tokens=10)) as stream:
            *told, last = [piece async for piece in stream]
    assert [piece.content for piece in told] == ["a", "b"]
    assert last.usage is not None
    assert await counted(ada) == (7, 0)


async def test_a_job_says_whose_tokens_it_spends(platform: TestPlatform, registry: Registry, tenant: UUID):
    async with Peer(ANSWER) as peer:
        await set_up(platform, tenant, peer.base_url)
        ada = await platform.account(tenant)
        uow = acting(platform, registry, tenant)
        with pytest.raises(ModelNotAllowed, match="account_id"):
            await uow.service(ModelGateway).complete(uow, HELLO)
        await uow.service(ModelGateway).complete(uow, HELLO, account_id=ada.id)
    assert await counted(ada) == (7, 0)


async def test_a_plugin_that_does_not_ask_for_it_may_not(platform: TestPlatform, registry: Registry, tenant: UUID):
    uow = acting(platform, registry, tenant, "miser")
    with pytest.raises(CapabilityDenied, match="ai_spend = true"):
        uow.service(ModelGateway)


async def test_the_quota_is_the_account_s(platform: TestPlatform, registry: Registry, tenant: UUID):
    ada = await platform.account(tenant)
    uow = acting(platform, registry, ada)
    with pytest.raises(QuotaExhausted):
        await uow.service(ModelGateway).complete(uow, [ChatMessage("user", "x" * 60_000)])
    assert await counted(ada) == (0, 0)


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"temperature": 3.0}, {"model": ""}, {"max_tokens": 10**6}])
async def test_what_can_not_be_asked_is_refused_before_anything_is_set_aside(
    platform: TestPlatform, registry: Registry, tenant: UUID, wrong: dict[str, Any]
):
    ada = await platform.account(tenant)
    uow = acting(platform, registry, ada)
    with pytest.raises(ModelNotAllowed):
        await uow.service(ModelGateway).complete(uow, HELLO, **wrong)
    assert await counted(ada) == (0, 0)
