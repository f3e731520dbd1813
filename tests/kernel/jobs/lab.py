"""A plugin made of whatever jobs a test needs, on a database of this folder's own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from pegboard.config.model import Config
from pegboard.jobs.catalog import Catalogs, Standing
from pegboard.jobs.drain import drain
from pegboard.jobs.executor import Executor
from pegboard.jobs.lease import Claimed, claim
from pegboard.jobs.relaxed import open_relaxed_pool
from pegboard.jobs.relay import take_due
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.registry import LoadedPlugin
from pegboard.runtime import Runtime
from pegboard.work import Work, transact
from pegboard_sdk import Event, EventHandler, ExternalJob, Job, Principal, Schedule, UnitOfWork, new_id
from pegboard_sdk.database import protect_table
from pegboard_sdk.manifest import Manifest

__all__ = ("EFFECTS", "Lab", "Ping", "Pinged", "PingedView", "leave_effect", "plugin")

EFFECTS = (
    "CREATE TABLE probe_effects (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL, n integer NOT NULL)",
    protect_table("probe_effects", privileges="SELECT, INSERT"),
)


class Ping(msgspec.Struct, frozen=True):
    """A payload."""

    n: int = 0


class Pinged(Event, frozen=True, kw_only=True):
    """An event."""

    name = "probe.pinged"
    n: int


class PingedView(msgspec.Struct, frozen=True):
    """What a listener reads of it."""

    n: int


async def leave_effect(uow: UnitOfWork, name: str, n: int) -> None:
    """What a job does: a row, in the job's transaction."""
    await uow.execute(
        "INSERT INTO probe_effects (id, tenant_id, name, n) VALUES ($1, $2, $3, $4)", new_id(), uow.tenant_id, name, n
    )


def plugin(
    name: str = "probe",
    *,
    jobs: Sequence[Job | ExternalJob] = (),
    handlers: Sequence[EventHandler] = (),
    schedules: Sequence[Schedule] = (),
) -> LoadedPlugin:
    """A loaded plugin that brings these."""
    return LoadedPlugin(
        name=name,
        manifest=Manifest(name=name, summary="For tests.", version="1.0.0", sdk=">=1,<2"),
        distribution="none",
        jobs=tuple(jobs),
        event_handlers=tuple(handlers),
        schedules=tuple(schedules),
    )


class Lab:
    """The parts that run jobs, one by one."""

    def __init__(self, runtime: Runtime, pool: asyncpg.Pool) -> None:
        self.runtime = runtime
        self.pool = pool
        self.catalogs = Catalogs(lambda: Standing(runtime.registry))
        self.executor = Executor(runtime, pool, self.catalogs, breakers=runtime.breakers)

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config) -> AsyncIterator["Lab"]:
        runtime = await Runtime.open(config)
        pool = await open_relaxed_pool(runtime.database)
        try:
            yield cls(runtime, pool)
        finally:
            await pool.close()
            await runtime.close()

    def install(
        self, *jobs: Job | ExternalJob, handlers: Sequence[EventHandler] = (), schedules: Sequence[Schedule] = ()
    ) -> None:
        """Have just these enabled."""
        self.enable(plugin(jobs=jobs, handlers=handlers, schedules=schedules))

    def enable(self, *plugins: LoadedPlugin) -> None:
        """Have just these plugins enabled."""
        self.runtime.registry = compile_registry(plugins, [])

    async def tenant(self) -> UUID:
        tenant = new_id()
        await self.pool.execute(
            "INSERT INTO kernel_tenants (id, slug, name) VALUES ($1, $2, 'test')", tenant, f"t-{tenant.hex}"
        )
        return tenant

    @asynccontextmanager
    async def work(self, tenant: UUID) -> AsyncIterator[Work]:
        principal = Principal(kind="system", tenant_id=tenant)
        async with transact(self.runtime, self.runtime.registry, principal, new_id().hex) as work:
            yield work

    async def enqueue(self, tenant: UUID, job: Job | ExternalJob, n: int = 0, **options: Any) -> UUID:
        """Enqueue in a transaction of its own."""
        async with self.work(tenant) as work:
            job_id = await work.enqueue(job, Ping(n), **options)
        assert job_id is not None
        return job_id

    async def emit(self, tenant: UUID, n: int) -> UUID:
        async with self.work(tenant) as work:
            return await work.emit(Pinged(n=n))

    async def drain(self, *, include_delayed: bool = False) -> int:
        return await drain(self.runtime, include_delayed=include_delayed)

    async def claim(self, worker: str = "first") -> list[Claimed]:
        """Take and claim all that is due, as a relay and a worker would."""
        _, due = await take_due(self.pool, self.catalogs.current)
        return await claim(self.pool, due, worker)

    async def claim_one(self, worker: str = "first") -> Claimed:
        """As `claim`, where just one is due."""
        (claimed,) = await self.claim(worker)
        return claimed

    async def row(self, job_id: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("SELECT *, run_at - now() AS due_in FROM kernel_jobs WHERE id = $1", job_id)
        assert row is not None
        return row

    async def states(self, tenant: UUID) -> dict[str, str]:
        """State by name of the tenant's jobs."""
        rows = await self.pool.fetch("SELECT name, state FROM kernel_jobs WHERE tenant_id = $1", tenant)
        return {row["name"]: row["state"] for row in rows}

    async def finished(self, tenant: UUID, count: int) -> bool:
        """Whether just so many of the tenant's jobs have succeeded."""
        sql = "SELECT count(*) FROM kernel_jobs WHERE tenant_id = $1 AND state = 'succeeded'"
        return await self.pool.fetchval(sql, tenant) == count

    async def effects(self, tenant: UUID) -> list[int]:
        """What the tenant's jobs left, in order of n."""
        rows = await self.pool.fetch("SELECT n FROM probe_effects WHERE tenant_id = $1 ORDER BY n", tenant)
        return [row["n"] for row in rows]

    async def age(self, job_id: UUID, seconds: float) -> None:
        """Let the job's last signs of life be so many seconds old."""
        await self.pool.execute(
            "UPDATE kernel_jobs SET heartbeat_at = heartbeat_at - make_interval(secs => $2),"
            " sent_at = sent_at - make_interval(secs => $2) WHERE id = $1",
            job_id,
            seconds,
        )
