"""The same rows by FastAPI and SQLAlchemy's asynchronous ORM, as their documentation has it: reported beside
`read_ratio`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import ARRAY, Text, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ("create",)

TENANT = UUID("00000000-0000-7000-8000-000000000001")


class Base(DeclarativeBase):
    """The declarative base."""


class GigRow(Base):
    __tablename__ = "creation_studio_gigs"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    owner_id: Mapped[UUID]
    state: Mapped[str]
    title: Mapped[str]
    price_amount: Mapped[int]
    currency: Mapped[str]
    delivery_days: Mapped[int]
    category: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    published_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Money(BaseModel):
    amount: int
    currency: str


class Gig(BaseModel):
    id: UUID
    owner_id: UUID
    state: str
    title: str
    price: Money
    delivery_days: int
    category: str | None
    tags: list[str]
    published_at: datetime


class GigPage(BaseModel):
    items: list[Gig]
    next_cursor: str | None


def _engine_url(url: str) -> str:
    parts = urlsplit(url)
    host = parse_qs(parts.query)["host"][0]
    return f"postgresql+asyncpg://{parts.username}:{parts.password}@{parts.path}?host={host}"


def create() -> FastAPI:
    """The application."""
    engine = create_async_engine(_engine_url(os.environ["BENCH_DATABASE_URL"]), pool_size=10)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/gigs")
    async def list_gigs() -> GigPage:
        statement = (
            select(GigRow)
            .where(GigRow.tenant_id == TENANT, GigRow.state == "published", GigRow.deleted_at.is_(None))
            .order_by(GigRow.published_at.desc(), GigRow.id.desc())
            .limit(21)
        )
        async with sessions() as session:
            rows = (await session.scalars(statement)).all()
        gigs = [
            Gig(
                id=row.id,
                owner_id=row.owner_id,
                state=row.state,
                title=row.title,
                price=Money(amount=row.price_amount, currency=row.currency),
                delivery_days=row.delivery_days,
                category=row.category,
                tags=row.tags,
                published_at=row.published_at,
            )
            for row in rows[:20]
        ]
        return GigPage(items=gigs, next_cursor=str(rows[19].id) if len(rows) > 20 else None)

    @app.get("/ready")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    return app
