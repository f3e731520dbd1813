"""What the tests of ai_providers start from: somebody who may ask a model, and a look into what was counted."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
from pegboard.plugins.registry import Registry
from pegboard.vault.store import SecretStore
from pegboard.work import SteppedWork
from pegboard_ai_providers.jobs import SETTLE_LOST, Nothing
from pegboard_ai_providers.openai import API_KEY, BASE_URL
from pegboard_ai_providers.settings import Settings
from pegboard_sdk import Principal, Secret, new_id

from tests.support.aimock import KEY
from tests.support.asgi import Receiver
from tests.support.platform import Account, TestPlatform

__all__ = (
    "COMPLETIONS",
    "ask",
    "counted",
    "newcomer",
    "read_event",
    "request",
    "run_janitor",
    "set_up",
    "stepped",
    "streamed",
    "usage_of",
    "with_settings",
)

ROOT = "/api/v1/ai_providers"
COMPLETIONS = f"{ROOT}/completions"
TEMPLATE_BOUND = 128 + 8
"""What is set aside for the model's chat template, where there is one message."""


async def set_up(platform: TestPlatform, tenant: UUID, base_url: str, *, key: str | None = KEY) -> None:
    """Store a provider's address and key in the tenant's vault, as its administrator does."""
    async with platform.runtime.database.system_transaction() as connection:
        store = SecretStore(connection, platform.runtime.vault, actor=platform.system(tenant), request_id="test")
        await store.set(BASE_URL, Secret(base_url), tenant_id=tenant)
        if key is not None:
            await store.set(API_KEY, Secret(key), tenant_id=tenant)


async def newcomer(platform: TestPlatform, base_url: str) -> Account:
    """Somebody in a fresh marketplace whose provider is at `base_url`."""
    tenant = await platform.tenant()
    await set_up(platform, tenant, base_url)
    return await platform.account(tenant)


def request(text: str, **others: Any) -> dict[str, Any]:
    """The body of a request with one message."""
    return {"messages": [{"role": "user", "content": text}], **others}


async def ask(account: Account, text: str, *, key: str | None = None, **others: Any) -> httpx.Response:
    """Ask for a whole answer; `key` is an idempotency key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await account.client.post(COMPLETIONS, json=request(text, **others), headers=headers)


def streamed(platform: TestPlatform, account: Account, text: str, *, read: bool = True, **others: Any) -> Receiver:
    """Ask for an answer in pieces."""
    return Receiver(
        platform.app,
        f"{COMPLETIONS}/stream",
        body=json.dumps(request(text, **others)).encode(),
        headers={"authorization": f"Bearer {account.token}", "content-type": "application/json"},
        read=read,
    )


def read_event(piece: bytes) -> tuple[str, dict[str, Any]]:
    """The name and the data of one server-sent event."""
    name, data = piece.decode().removesuffix("\n\n").split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def events_of(receiver: Receiver) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events that still come."""
    while (piece := await receiver.piece()) is not None:
        yield read_event(piece)


async def counted(account: Account) -> tuple[int, int]:
    """Today's tokens of an account: used, and set aside."""
    quota = (await account.client.get(f"{ROOT}/quota")).json()
    return quota["used"], quota["reserved"]


async def usage_of(account: Account) -> list[dict[str, Any]]:
    """An account's latest requests, newest first."""
    answer = await account.client.get(f"{ROOT}/usage", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def run_janitor(platform: TestPlatform, tenant: UUID) -> None:
    """What the schedule does every five minutes, and all that follows from it."""
    async with platform.work(platform.system(tenant)) as work:
        await work.enqueue(SETTLE_LOST, Nothing())
    await platform.drain()


async def expire(platform: TestPlatform, tenant: UUID) -> None:
    """Let the time pass that reservations have."""
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("UPDATE ai_providers_usage SET expires_at = now() - interval '1 second'")


def with_settings(platform: TestPlatform, *, providers: list[Any] | None = None, **changes: Any) -> Registry:
    """The platform's registry with other settings of the plugin, or other providers."""
    registry = platform.registry
    settings = {**registry.settings, Settings: msgspec.structs.replace(registry.settings[Settings], **changes)}
    extensions = dict(registry.extensions)
    if providers is not None:
        extensions["ai_providers"] = providers
    return msgspec.structs.replace(registry, settings=settings, extensions=extensions)


def stepped(platform: TestPlatform, who: Account | Principal, registry: Registry | None = None) -> SteppedWork:
    """A unit of work for what calls out."""
    principal = who.principal if isinstance(who, Account) else who
    return SteppedWork(platform.runtime, registry or platform.registry, principal, new_id().hex)
