"""The plugin `hello`, and what tests do with it on a fleet of processes."""

from typing import Any

from tests.support.fleet import overview, until
from tests.support.platform import Account, TestPlatform

__all__ = ("HELLO", "URL", "all_equal", "conflict", "decided", "holds", "status", "toggle")

HELLO = """
import asyncio
import sys
from pegboard_sdk import hookimpl
from pegboard_sdk.http import Controller, get

class HelloController(Controller):
    path = "/greetings"

    @get("/", public=True)
    async def read_greeting(self) -> dict[str, str]:
        '''Greet.'''
        return {"greeting": "hello"}

@hookimpl
def controllers():
    return [HelloController]
"""
URL = "/api/v1/hello/greetings"


async def toggle(account: Account, name: str, enabled: bool) -> dict[str, Any]:
    answer = await account.client.post(f"/api/v1/admin/plugins/{name}/{'enable' if enabled else 'disable'}")
    assert answer.status_code == 202, answer.text
    return answer.json()["revision"]


async def decided(account: Account, number: int) -> dict[str, Any]:
    """The revision, once it is active or failed."""

    async def look() -> dict[str, Any] | None:
        found = await overview(account)
        for revision in (found["latest"], found["active"]):
            if revision and revision["number"] == number and revision["state"] != "preparing":
                return revision
        return None

    return await until(look)


async def status(platform: TestPlatform, url: str = URL) -> int:
    return (await platform.client().get(url)).status_code


async def all_equal(expected: int, *platforms: TestPlatform) -> bool:
    return {await status(platform) for platform in platforms} == {expected}


async def holds(condition: bool) -> bool:
    return condition


async def conflict(account: Account) -> str | None:
    return next((one["conflict"] for one in (await overview(account))["processes"] if one["conflict"]), None)
