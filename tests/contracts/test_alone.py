"""The kernel runs without plugins, and each plugin with nothing but what it declares that it needs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pegboard.plugins.discovery import discover
from pegboard_sdk.manifest import Manifest

from tests.support.fleet import Fleet, operator
from tests.support.servers import BUILT_IN

KERNEL_PREFIXES = {"admin", "approvals", "auth", "maintenance", "organisations", "taxonomies"}
KERNEL_PREFIXES |= {"organisation-invitations"}


@pytest.fixture
async def fleet(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(postgres_url, redis_url, tmp_path)
    await fleet.open()
    yield fleet
    await fleet.close()


def needed(name: str, manifests: dict[str, Manifest]) -> set[str]:
    """The plugin and everything that it requires, directly or not."""
    found = {name}
    for other in manifests[name].requires:
        found |= needed(other, manifests)
    return found


@pytest.mark.parametrize("plugin", [None, *BUILT_IN])
async def test_it_boots_and_answers(fleet: Fleet, plugin: str | None) -> None:
    manifests = {name: candidate.manifest for name, candidate in discover().candidates.items()}
    names = needed(plugin, manifests) if plugin is not None else set()
    fleet.config()
    fleet.write("[pegboard]\nstrict = true\n" + "".join(f"[plugins.{name}]\nenabled = true\n" for name in names))

    platform = await fleet.api()
    assert {one.name for one in platform.registry.plugins} == {"kernel", *names}
    client = platform.client()
    assert (await client.get("/health/ready")).json()["status"] == "ready"
    paths = (await client.get("/openapi.json")).json()["paths"]
    prefixes = {path.split("/")[3] for path in paths if path.startswith("/api/v1/")}
    assert prefixes - KERNEL_PREFIXES == names
    health = await (await operator(platform)).client.get("/health/plugins")
    assert {one["plugin"]: one["ok"] for one in health.json()["items"]} == dict.fromkeys(names, True)
