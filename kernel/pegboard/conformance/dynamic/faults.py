"""Faults put into the plugin as it is installed: the platform boots, names the fault, and everybody else serves.

What a plugin does while it is loaded decides whether that works: one that leaves something behind at its import, or
holds others up, takes them along.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from pegboard_sdk.ids import new_id

from pegboard.conformance.dynamic.injected import MARK, Fault, injected
from pegboard.conformance.subject import Subject
from pegboard.plugins.generation import GenerationHolder
from pegboard.plugins.hooks import CLASSES, EXTENSION_PROTOCOLS, ITEMS, SINGLES
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.testing.kit import open_kernel
from pegboard.testing.platform import TestPlatform

__all__ = (
    "check_fault_in_hooks",
    "check_fault_in_import",
    "check_fault_in_job",
    "check_fault_in_migration",
    "check_fault_in_request",
    "check_fault_in_settings",
    "check_fault_in_startup",
    "check_fault_slow_startup",
)

IMPORT = Fault(before=f'raise RuntimeError("{MARK}")')
STARTUP = Fault(
    code=f"""
@hookimpl
def on_startup():
    async def fail():
        raise RuntimeError("{MARK}")
    return fail
"""
)
SLOW = Fault(
    code="""
@hookimpl
def on_startup():
    async def wait():
        await asyncio.Event().wait()
    return wait
"""
)
SETTINGS = Fault(settings="put_in_by_the_conformance_kit: str")
MIGRATION = Fault(
    code="""
@hookimpl
def piccolo_app(context):
    app = brought("piccolo_app", context) or PiccoloApp(name="NAME", tables=())
    return PiccoloApp(name=app.name, tables=app.tables, migrations="PACKAGE:migrations")
""",
    migration=f"""
from pegboard_sdk.database import sql_migration

ID = "9999-12-31T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "{MARK}"


async def forwards():
    return sql_migration(
        app="NAME", id=ID, description=DESCRIPTION, forwards=("SELECT 1 / 0",), backwards=("SELECT 1",)
    )
""",
)
REQUEST = Fault(
    code=f"""
class InjectedController(Controller):
    path = "/put_in_by_the_conformance_kit"

    @get(public=True)
    async def read_fault(self) -> str:
        raise RuntimeError("{MARK}")


@hookimpl
def controllers(context):
    return (*brought("controllers", context), InjectedController)
"""
)
JOB = Fault(
    code=f"""
class Nothing(msgspec.Struct, frozen=True):
    pass


async def fail(uow, payload):
    raise RuntimeError("{MARK}")


@hookimpl
def jobs(context):
    return (*brought("jobs", context), Job(name="NAME.put_in_by_the_conformance_kit", payload=Nothing, run=fail))
"""
)


async def check_fault_in_import(subject: Subject) -> list[str]:
    """It raises when it is imported."""
    return await _left_out(subject, IMPORT, MARK)


async def check_fault_in_hooks(subject: Subject) -> list[str]:
    """Each of its hooks raises, one after the other."""
    found: list[str] = []
    for hook in sorted({*CLASSES, *ITEMS, *SINGLES, *EXTENSION_PROTOCOLS}):
        with injected(subject, Fault(code=f'@hookimpl\ndef {hook}():\n    raise RuntimeError("{MARK}")\n')):
            registry = await asyncio.to_thread(load_plugins, subject.kernel.config)
        found += _judged(subject, registry, f"its hook {hook}")
    return found


async def check_fault_in_startup(subject: Subject) -> list[str]:
    """Its start-up raises."""
    return await _left_out(subject, STARTUP, MARK)


async def check_fault_slow_startup(subject: Subject) -> list[str]:
    """Its start-up never ends: the time that it has is made short here."""
    config = subject.kernel.config
    holder: GenerationHolder[None] = GenerationHolder(lambda _: None, startup_timeout=0.5)

    def without(failed: Mapping[str, str]) -> Registry:
        return load_plugins(config, failed=failed)

    with injected(subject, SLOW):
        generation = await holder.prepare(await asyncio.to_thread(load_plugins, config), without=without)
        await holder.discard(generation)
    return _judged(subject, generation.registry, "start")


async def check_fault_in_migration(subject: Subject) -> list[str]:
    """A migration fails."""
    return await _left_out(subject, MIGRATION, "9999_12_31_0001")


async def check_fault_in_settings(subject: Subject) -> list[str]:
    """A setting is missing."""
    return await _left_out(subject, SETTINGS, "put_in_by_the_conformance_kit")


async def check_fault_in_request(subject: Subject) -> list[str]:
    """A route raises."""
    path = f"/api/v1/{subject.name}/put_in_by_the_conformance_kit"
    async with _running(subject, REQUEST) as kernel:
        answer = await kernel.client().get(path)
        found = await _serving(kernel, subject.kernel.registry.plugins)
    if answer.status_code != 500 or MARK in answer.text:
        found.append(f"a route that raises answers {answer.status_code} {answer.text[:80]!r}, not a bare 500")
    return found


async def check_fault_in_job(subject: Subject) -> list[str]:
    """A job raises, again and again."""
    name = f"{subject.name}.put_in_by_the_conformance_kit"
    async with _running(subject, JOB) as kernel:
        job, tenant = new_id(), await kernel.tenant()
        async with kernel.runtime.database.system_transaction() as connection:
            await connection.execute(
                "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts)"
                " VALUES ($1, $2, $3, $4, '{}', 1)",
                job,
                tenant,
                subject.name,
                name,
            )
        await kernel.drain()
        async with kernel.runtime.database.system_transaction() as connection:
            row = await connection.fetchrow("SELECT state, error FROM kernel_jobs WHERE id = $1", job)
        found = await _serving(kernel, subject.kernel.registry.plugins)
    if row["state"] != "dead" or MARK not in row["error"]:
        found.append(f"a job that raises is {row['state']} ({row['error']}), not a dead letter that says why")
    return found


@asynccontextmanager
async def _running(subject: Subject, fault: Fault) -> AsyncIterator[TestPlatform]:
    """A platform that boots with the faulty plugin."""
    with injected(subject, fault):
        async with open_kernel(
            subject.name, settings=subject.settings, secrets={}, also=subject.also, must=False
        ) as kernel:
            yield kernel


async def _left_out(subject: Subject, fault: Fault, told: str) -> list[str]:
    """The platform boots, without the plugin and what requires it, says why, and serves the rest."""
    async with _running(subject, fault) as kernel:
        return _judged(subject, kernel.registry, told) + await _serving(kernel, subject.others)


def _judged(subject: Subject, registry: Registry, told: str) -> list[str]:
    reasons = {one.name: one.reason for one in registry.skipped}
    on = {one.name for one in registry.plugins}
    found = [
        f"{other.name} is taken along: {reasons.get(other.name, 'it is gone')}"
        for other in subject.others
        if other.name not in on and subject.name not in other.manifest.requires
    ]
    reason = reasons.get(subject.name)
    if reason is None:
        found.append("the fault goes unnoticed: the plugin is on")
    elif told not in reason:
        found.append(f"the reason that is given does not name the fault: {reason}")
    return found


async def _serving(kernel: TestPlatform, plugins: Sequence[LoadedPlugin]) -> list[str]:
    """Whether the platform is ready and has the routes of the plugins."""
    client = kernel.client()
    ready = await client.get("/health/ready")
    found = [] if ready.status_code == 200 else [f"the platform is not ready: {ready.text[:200]}"]
    paths = (await client.get("/openapi.json")).json()["paths"]
    return found + [
        f"{plugin.name} has no routes any more"
        for plugin in plugins
        if plugin.controllers
        and plugin.name != "kernel"
        and not any(path.startswith(f"/api/v1/{plugin.name}/") for path in paths)
    ]
