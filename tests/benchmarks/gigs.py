"""Twenty gigs to read, and somebody to read them."""

import asyncio

import asyncpg
from pegboard.config.model import Config
from pegboard.database.tenants import DEFAULT_TENANT

from tests.support.platform import TestPlatform

__all__ = ("GIGS_PATH", "prepare")

GIGS_PATH = "/api/v1/creation_studio/gigs?limit=20"


async def _prepare(config: Config, gigs: int) -> str:
    platform = TestPlatform(config)
    await platform.start()
    try:
        account = await platform.account(DEFAULT_TENANT)
        for number in range(gigs):
            draft = await account.client.post(
                "/api/v1/creation_studio/gigs",
                json={
                    "title": f"Logo design number {number} with two revisions",
                    "description": "A logo drawn by hand, delivered as SVG and PNG, with two rounds of changes. " * 4,
                    "price": {"amount": 12_500 + number, "currency": "EUR"},
                    "delivery_days": 5,
                },
            )
            draft.raise_for_status()
            published = await account.client.post(f"/api/v1/creation_studio/gigs/{draft.json()['id']}/publish")
            published.raise_for_status()
    finally:
        await platform.stop()
    return account.token


def prepare(config: Config, *, gigs: int = 200) -> str:
    """Publish gigs through the API, as their author; gives an access token."""
    token = asyncio.run(_prepare(config, gigs))
    asyncio.run(_analyze(config.database.url.reveal()))
    return token


async def _analyze(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
