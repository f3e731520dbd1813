"""Every role against every route of the running application: who may is who gets in, and nobody else.

What is expected comes from the manifests and from what plugins grant; what happens, from asking. Then once more in a
marketplace that has decided otherwise.
"""

import random
import re
import sys
from collections.abc import Mapping
from uuid import UUID

import httpx
import msgspec
import pytest
from pegboard.authorization.matrix import WAY_BACK_IN, MatrixService
from pegboard.authorization.schemas import MatrixChange
from pegboard.plugins.registry import Registry
from pegboard.web.app import declared_routes
from pegboard_sdk.ids import new_id

from tests.support.platform import TestPlatform

PARAMETER = re.compile(r"\{[^}]+\}")
EVERYBODY = ("anonymous", "member")


class Pair(msgspec.Struct, frozen=True):
    """A role and a route."""

    role: str
    method: str
    path: str
    permission: str | None


def by_manifest(registry: Registry) -> dict[str, set[str]]:
    """What each role may by default, put together here from what each plugin brings."""
    granted: dict[str, set[str]] = {}
    for plugin in registry.plugins:
        for grant in plugin.roles:
            granted.setdefault(grant.role, set()).update(grant.permissions)
        if plugin.name != "kernel":
            granted.setdefault("administrator", set()).update(plugin.manifest.permissions)
    return granted


def routes(platform: TestPlatform) -> list[tuple[str, str, str | None]]:
    """Method, path and permission of each route."""
    declared = declared_routes(platform.app.platform.holder.current.app)
    return [
        (method.upper(), path, route.permission)
        for (path, method), (route, _) in sorted(declared.items())
        if method != "options"
    ]


class Visitors:
    """Somebody for each role, in one tenant. Who was logged out by what they asked for logs in again."""

    def __init__(self, platform: TestPlatform, tenant: UUID) -> None:
        self._platform = platform
        self._tenant = tenant
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def _client(self, role: str) -> httpx.AsyncClient:
        if role not in self._clients:
            if role == "anonymous":
                self._clients[role] = self._platform.anonymous(self._tenant)
            else:
                account = await self._platform.account(self._tenant, ("member", role))
                self._clients[role] = account.client
        return self._clients[role]

    async def ask(self, pair: Pair) -> httpx.Response:
        """Its answer to a request that nothing is wrong with but its body, where it has one."""
        path = PARAMETER.sub(lambda _: str(new_id()), pair.path)
        content = None if pair.method in ("GET", "HEAD", "DELETE") else b"{"
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(new_id()), "If-Match": '"0"'}

        async def once() -> httpx.Response:
            return await (await self._client(pair.role)).request(pair.method, path, content=content, headers=headers)

        answer = await once()
        if answer.status_code == 401 and pair.role != "anonymous" and pair.permission is not None:
            del self._clients[pair.role]
            answer = await once()
        return answer


def got_in(answer: httpx.Response, pair: Pair) -> bool:
    """Whether the answer is the handler's, or what comes after authorization."""
    if answer.status_code == 401:
        return pair.permission is None  # a public route that asks for other credentials
    refused = answer.status_code == 403 and f"the permission {pair.permission}" in answer.json().get("detail", "")
    return not refused


async def compare(platform: TestPlatform, tenant: UUID, granted: Mapping[str, set[str]]) -> tuple[int, int, list[str]]:
    """How many pairs there are, in how many somebody may, and where what happens is not what should."""
    visitors = Visitors(platform, tenant)
    everybody: set[str] = set().union(*(granted.get(role, set()) for role in EVERYBODY))
    pairs = allowed = 0
    wrong: list[str] = []
    for role in sorted(granted):
        may = granted["anonymous"] if role == "anonymous" else everybody | granted[role]
        for method, path, permission in routes(platform):
            pair = Pair(role, method, path, permission)
            expected = permission is None or permission in may
            answer = await visitors.ask(pair)
            pairs += 1
            allowed += expected
            if got_in(answer, pair) != expected or answer.status_code == 500:
                wrong.append(f"{role} {method} {path} ({permission}): expected {expected}, got {answer.status_code}")
    return pairs, allowed, wrong


async def test_by_default(platform: TestPlatform, tenant: UUID, capsys: pytest.CaptureFixture[str]) -> None:
    granted = by_manifest(platform.registry)

    pairs, allowed, wrong = await compare(platform, tenant, granted)

    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(granted)} roles, {len(routes(platform))} routes, {pairs} pairs: {allowed} allowed,"
            f" {pairs - allowed} refused, {len(wrong)} mismatches\n"
        )
    assert wrong == []
    assert pairs == len(granted) * len(routes(platform)) > 500


async def test_where_a_marketplace_decided_otherwise(
    platform: TestPlatform, tenant: UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of all cells that may be changed, a quarter is."""
    granted = by_manifest(platform.registry)
    chosen, changes = random.Random(4), list[MatrixChange]()
    for role in sorted(granted.keys() - {"operator"}):
        for name in sorted(platform.registry.permissions):
            default = name in granted[role]
            fixed = name.startswith("kernel:") or (role == "administrator" and name in WAY_BACK_IN)
            if fixed or (role == "anonymous" and not default) or chosen.random() > 0.25:
                continue
            changes.append(MatrixChange(role=role, permission=name, granted=not default))
            granted[role].symmetric_difference_update((name,))
    async with platform.work(platform.system(tenant)) as work:
        await MatrixService(work).edit(changes, reason="to see", if_match="*")

    pairs, allowed, wrong = await compare(platform, tenant, granted)

    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(changes)} cells changed, {pairs} pairs: {allowed} allowed, {pairs - allowed} refused,"
            f" {len(wrong)} mismatches\n"
        )
    assert len(changes) > 20
    assert wrong == []
