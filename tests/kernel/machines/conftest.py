"""Service accounts and keys, made as administrators make them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from pegboard.config.model import Config
from pegboard.runtime import Runtime

from tests.support.platform import Account, TestPlatform

KEYS = "/api/v1/auth/api-keys"
SERVICES = "/api/v1/admin/service-accounts"
ACCOUNTS = "/api/v1/admin/accounts"


@pytest.fixture
async def admin(platform: TestPlatform, tenant: UUID) -> Account:
    """Who runs the marketplace."""
    return await platform.account(tenant, ("member", "administrator"))


@pytest.fixture
async def ada(platform: TestPlatform, tenant: UUID) -> Account:
    """A member."""
    return await platform.account(tenant)


@pytest.fixture
async def runtime(platform: TestPlatform, config: Config) -> AsyncIterator[Runtime]:
    """Another process of the same installation. It follows nothing until it is started or asks."""
    opened = await Runtime.open(config, pool_size=2)
    opened.registry = platform.registry
    await opened.authenticator.keys.load()
    yield opened
    await opened.close()


async def make_key(owner: Account, *scopes: str, **more: Any) -> dict[str, Any]:
    """An API key of somebody's own."""
    answer = await owner.client.post(KEYS, json={"label": "ci", "scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def make_service(admin: Account, *roles: str, name: str = "Robot") -> dict[str, Any]:
    """A service account."""
    answer = await admin.client.post(SERVICES, json={"name": name, "roles": list(roles)})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def make_credential(admin: Account, service: dict[str, Any], *scopes: str, **more: Any) -> dict[str, Any]:
    """A credential of a service account: an API key unless `kind` is given."""
    path = f"{SERVICES}/{service['id']}/credentials"
    answer = await admin.client.post(path, json={"label": "deploy", "scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def with_key(platform: TestPlatform, made: dict[str, Any]) -> httpx.AsyncClient:
    """A client that sends a key."""
    return platform.client(authorization=f"Bearer {made['secret']}")


def code(answer: httpx.Response) -> str:
    """A problem's code."""
    return answer.json()["code"]
