"""What `read_ratio` compares with: a bare Litestar handler that gives the same rows by raw asyncpg. No token, no
tenant, no log, no limits.

`BARE_RESET=1` keeps asyncpg's own reset of a connection at each release, as its pool does unless told otherwise.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from litestar import Litestar, get
from litestar.datastructures import State

__all__ = ("create",)

SQL = """
SELECT id, owner_id, state, title, price_amount, currency, delivery_days, category, tags, published_at
  FROM creation_studio_gigs WHERE tenant_id = $1 AND state = 'published' AND deleted_at IS NULL
 ORDER BY published_at DESC, id DESC LIMIT 21
"""
TENANT = UUID("00000000-0000-7000-8000-000000000001")


class Money(msgspec.Struct):
    amount: int
    currency: str


class Gig(msgspec.Struct):
    id: UUID
    owner_id: UUID
    state: str
    title: str
    price: Money
    delivery_days: int
    category: str | None
    tags: list[str]
    published_at: datetime


class GigPage(msgspec.Struct):
    items: list[Gig]
    next_cursor: str | None


class Unreset(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""


@get("/gigs")
async def list_gigs(state: State) -> GigPage:
    async with state.pool.acquire() as connection:
        rows = await connection.fetch(SQL, TENANT)
    gigs = [Gig(r[0], r[1], r[2], r[3], Money(r[4], r[5]), r[6], r[7], r[8], r[9]) for r in rows[:20]]
    return GigPage(gigs, str(rows[19]["id"]) if len(rows) > 20 else None)


@get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    kind: dict[str, Any] = {} if os.environ.get("BARE_RESET") else {"connection_class": Unreset}
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=2, max_size=10, **kind) as pool:
        app.state.pool = pool
        yield


def create() -> Litestar:
    """The application."""
    return Litestar([list_gigs, ready], lifespan=[_lifespan], openapi_config=None, logging_config=None)
