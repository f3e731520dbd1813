"""A fleet of broken plugins: one for each thing that a plugin can do wrong."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tests.support.workshop import Workshop

__all__ = ("FLEET", "Broken", "install")

HOOK = "from pegboard_sdk import hookimpl\n\n"
TABLE = """
from piccolo.columns import UUID
from piccolo.table import Table
from pegboard_sdk.database import PiccoloApp

class Things(Table, tablename="TABLE"):
    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)

@hookimpl
def piccolo_app():
    return PiccoloApp(name="NAME", tables=(Things,), migrations="PACKAGE:migrations")
"""
SETTINGS = """
import msgspec

class Settings(msgspec.Struct, frozen=True):
    '''Settings.'''

    colour: str
    size: int = 1
"""
ROUTE = """
from pegboard_sdk.http import Controller, get

class ThingController(Controller):
    path = "/things"

    @get(public=True)
    async def read_thing(self) -> dict[str, str]:
        '''A thing.'''
        BODY

@hookimpl
def controllers():
    return [ThingController]
"""


HANGS = (
    HOOK
    + """
import asyncio

async def up():
    await asyncio.Event().wait()

@hookimpl
def on_startup():
    return up
"""
)


ENDS = (
    HOOK
    + """
import os

async def up():
    os._exit(7)

@hookimpl
def on_startup():
    return up
"""
)
# It blocks the event loop: that is its fault. Nothing waits for it.
BLOCKS = (
    HOOK
    + """
import time

async def up():
    while True:
        time.sleep(3600)

@hookimpl
def on_startup():
    return up
"""
)


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin, and how `pegboard plugins list` tells what is wrong. `state` is enabled where its fault shows later."""

    name: str
    state: str
    told: str
    code: str = ""
    options: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}
    files: Mapping[str, str] = {}


FLEET = (
    Broken(
        name="raises_on_import",
        state="quarantined",
        told="raised ValueError: no ink",
        code='raise ValueError("no ink")',
    ),
    Broken(name="exits_on_import", state="quarantined", told="raised SystemExit", code="import sys\nsys.exit(3)"),
    Broken(
        name="dies_on_import", state="quarantined", told="ended while they imported it", code="import os\nos._exit(7)"
    ),
    Broken(
        name="interrupts_on_import",
        state="quarantined",
        told="raised KeyboardInterrupt",
        code="raise KeyboardInterrupt",
    ),
    Broken(
        name="hangs_on_import",
        state="quarantined",
        told="its import and hooks took longer than 5 s",
        code="import threading\nthreading.Event().wait()",
    ),
    Broken(name="lacks_a_library", state="quarantined", told="No module named 'nowhere'", code="import nowhere"),
    Broken(
        name="raises_in_a_hook",
        state="quarantined",
        told="its hook jobs raised KeyError",
        code=HOOK + '@hookimpl\ndef jobs():\n    raise KeyError("gone")\n',
    ),
    Broken(
        name="returns_nonsense",
        state="quarantined",
        told="its hook jobs must return",
        code=HOOK + "@hookimpl\ndef jobs():\n    return 5\n",
    ),
    Broken(
        name="raises_at_startup",
        state="quarantined",
        told="its on_startup failed: RuntimeError: no engine",
        code=HOOK
        + 'async def up():\n    raise RuntimeError("no engine")\n\n@hookimpl\ndef on_startup():\n    return up\n',
    ),
    Broken(
        name="hangs_at_startup",
        state="quarantined",
        told="its on_startup failed: it took longer than 1 s",
        code=HANGS,
    ),
    Broken(
        name="hangs_at_startup_too",
        state="quarantined",
        told="its on_startup failed: it took longer than 1 s",
        code=HANGS,
    ),
    Broken(
        name="ends_in_a_hook",
        state="quarantined",
        told="2 processes in a row ended while they called its hooks",
        code=HOOK + "import os\n\n@hookimpl\ndef jobs():\n    os._exit(7)\n",
    ),
    Broken(
        name="ends_at_startup",
        state="quarantined",
        told="processes in a row ended while they ran its on_startup",
        code=ENDS,
    ),
    Broken(
        name="ends_at_startup_too",
        state="quarantined",
        told="processes in a row ended while they ran its on_startup",
        code=ENDS,
    ),
    Broken(
        name="blocks_at_startup",
        state="quarantined",
        told="its on_startup failed: it blocked the event loop for more than 2 s",
        code=BLOCKS,
    ),
    Broken(
        name="blocks_at_startup_too",
        state="quarantined",
        told="its on_startup failed: it blocked the event loop for more than 2 s",
        code=BLOCKS,
    ),
    Broken(
        name="fails_to_migrate",
        state="failed",
        told="migration",
        code=HOOK + TABLE.replace("TABLE", "fails_to_migrate_things").replace("NAME", "fails_to_migrate"),
        options={"tables": ["fails_to_migrate_things"]},
        files={
            "migrations/fails_to_migrate_2026_11_24_0001.py": """
from pegboard_sdk.database import sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "things"


async def forwards():
    return sql_migration(
        app="fails_to_migrate", id=ID, description=DESCRIPTION, forwards=("SELECT 1 / 0",), backwards=("SELECT 1",)
    )
"""
        },
    ),
    Broken(
        name="lacks_settings",
        state="failed",
        told="colour",
        code=HOOK + SETTINGS,
        options={"settings": "PACKAGE.plugin:Settings"},
    ),
    Broken(
        name="wrong_settings",
        state="failed",
        told="size",
        code=HOOK + SETTINGS,
        options={"settings": "PACKAGE.plugin:Settings"},
        settings={"colour": "red", "size": "large"},
    ),
    Broken(name="bad_manifest", state="failed", told="its manifest is wrong", options={"manifest": "name = 5\n"}),
    Broken(name="future_sdk", state="failed", told="it needs the SDK >=9", options={"sdk": ">=9"}),
    Broken(
        name="lacks_a_plugin",
        state="failed",
        told="it requires unheard_of >=1, which is not installed",
        options={"requires": {"unheard_of": ">=1"}},
    ),
    Broken(
        name="needs_a_newer_one",
        state="failed",
        told="it requires finance >=99",
        options={"requires": {"finance": ">=99"}},
    ),
    Broken(
        name="needs_a_broken_one",
        state="failed",
        told="it requires raises_on_import >=1, which is off",
        options={"requires": {"raises_on_import": ">=1"}},
    ),
    Broken(
        name="circle_one",
        state="failed",
        told="circle_one → circle_two → circle_one",
        options={"requires": {"circle_two": ">=1"}},
    ),
    Broken(
        name="circle_two",
        state="failed",
        told="circle_two → circle_one → circle_two",
        options={"requires": {"circle_one": ">=1"}},
    ),
    Broken(
        name="takes_anothers_job",
        state="failed",
        told="must be named takes_anothers_job.",
        code=HOOK
        + """
import msgspec
from pegboard_sdk import Job

class Payload(msgspec.Struct):
    pass

async def work(uow, payload):
    pass

@hookimpl
def jobs():
    return [Job(name="finance.settle_payments", payload=Payload, run=work)]
""",
    ),
    Broken(
        name="open_route",
        state="failed",
        told="must be made with a decorator of pegboard_sdk.http",
        code=HOOK
        + """
from litestar import Controller, get

class OpenController(Controller):
    path = "/doors"

    @get("/")
    async def read_door(self) -> None:
        pass

@hookimpl
def controllers():
    return [OpenController]
""",
    ),
    Broken(
        name="raises_in_requests",
        state="enabled",
        told="The plugin raises_in_requests.",
        code=HOOK + ROUTE.replace("BODY", 'raise RuntimeError("no thing")'),
    ),
    Broken(
        name="raises_in_jobs",
        state="enabled",
        told="The plugin raises_in_jobs.",
        code=HOOK
        + """
import msgspec
from pegboard_sdk import Job, Schedule

class Payload(msgspec.Struct):
    pass

async def work(uow, payload):
    raise RuntimeError("no work")

WORK = Job(name="raises_in_jobs.work", payload=Payload, run=work)

@hookimpl
def jobs():
    return [WORK]

@hookimpl
def schedules():
    return [Schedule(name="raises_in_jobs.often", cron="* * * * *", job=WORK, payload=Payload())]
""",
    ),
    Broken(
        name="raises_in_handlers",
        state="enabled",
        told="The plugin raises_in_handlers.",
        code=HOOK
        + """
import msgspec
from pegboard_sdk import EventHandler

class Published(msgspec.Struct):
    pass

async def handle(uow, event):
    raise RuntimeError("no ear")

@hookimpl
def event_handlers():
    return [EventHandler(event="creation_studio.gig_published", name="listen", type=Published, handle=handle)]
""",
    ),
    Broken(
        name="feels_unwell",
        state="enabled",
        told="The plugin feels_unwell.",
        code=HOOK
        + """
from pegboard_sdk.health import HealthCheck

async def check():
    raise RuntimeError("a headache")

@hookimpl
def health_checks():
    return [HealthCheck(name="head", check=check)]
""",
    ),
    Broken(
        name="misses_a_provider",
        state="enabled",
        told="The plugin misses_a_provider.",
        code=HOOK
        + """
from pegboard_sdk.health import HealthCheck

async def check():
    return "the provider does not answer"

@hookimpl
def health_checks():
    return [HealthCheck(name="provider", check=check, upstream=True)]
""",
    ),
    Broken(
        name="exits_in_requests",
        state="enabled",
        told="The plugin exits_in_requests.",
        code=HOOK + ROUTE.replace("BODY", "raise SystemExit(3)"),
    ),
    Broken(
        name="blocks_the_loop",
        state="enabled",
        told="The plugin blocks_the_loop.",
        # It blocks: that is its fault. Nothing waits for it.
        code=HOOK + "import time\n" + ROUTE.replace("BODY", 'time.sleep(0.6)\n        return {"slow": "very"}'),
    ),
)


def install(workshop: Workshop) -> str:
    """Install all of them; gives the tables of a `plugins.toml` that turn them on."""
    tables: list[str] = []
    for one in FLEET:
        workshop.add(one.name, one.code, files=one.files, **one.options)
        values = {"enabled": True, **one.settings}
        lines = [
            f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in values.items()
        ]
        tables.append("\n".join([f"[plugins.{one.name}]", *lines, ""]))
    return "\n".join(tables)
