"""A plugin that breaks each rule of the dynamic checks once, and one that leans on it."""

from tests.support.workshop import Workshop

__all__ = ("add_careless", "add_coded", "add_endless", "add_leaner")

PERMISSIONS = {
    "careless:note.read": "read notes",
    "careless:note.write": "write notes",
    "careless:note.forget": "do what nothing does",
    "careless:note.prune": "remove notes",
}

PLUGIN = '''
import time
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from pegboard_sdk import Event, EventHandler, Job, Permission, RoleGrant, UnitOfWork, hookimpl, new_id
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.hookspecs import hookspec
from pegboard_sdk.http import Controller, get, post
from piccolo.columns import UUID as UuidColumn
from piccolo.columns import Integer, Text, Timestamptz
from piccolo.table import Table

READ, WRITE, FORGET = "careless:note.read", "careless:note.write", "careless:note.forget"
PRUNE = "careless:note.prune"


class Notes(Table, tablename="careless_notes"):
    id = UuidColumn(primary_key=True, default=None)
    tenant_id = UuidColumn(null=False, default=None)
    text = Integer(null=False, default=None)


class Secrets(Table, tablename="careless_secrets"):
    id = UuidColumn(primary_key=True, default=None)
    tenant_id = UuidColumn(null=False, default=None)
    word = Text(null=False, default=None)


class NoteCreate(msgspec.Struct, frozen=True):
    text: str


class Coded(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(pattern="^zyx[0-9]{7}$")]


class Note(msgspec.Struct, frozen=True):
    id: UUID
    text: str


class Nothing(msgspec.Struct, frozen=True):
    pass


class Noted(msgspec.Struct, frozen=True):
    note_id: UUID


class NoteWritten(Event, frozen=True):
    name: ClassVar[str] = "careless.note_written"
    note_id: UUID


class NoteCounted(NoteWritten, frozen=True):
    name: ClassVar[str] = "careless.note_counted"


async def insert(uow, text):
    note = Note(new_id(), text)
    await uow.execute(
        "INSERT INTO careless_notes (id, tenant_id, text) VALUES ($1, $2, $3)", note.id, uow.tenant_id, text
    )
    return note


async def count(uow: UnitOfWork, payload: Nothing) -> None:
    await insert(uow, "counted")


async def note_again(uow: UnitOfWork, event: Noted) -> None:
    await uow.emit(NoteCounted(note_id=event.note_id))


async def trip(uow: UnitOfWork, event: Noted) -> None:
    raise KeyError(str(event.note_id))


class NoteController(Controller):
    path = "/notes"

    @get(permission=READ)
    async def list_notes(self, uow: UnitOfWork) -> list[Note]:
        return [msgspec.convert(dict(row), Note) for row in await uow.fetch("SELECT id, text FROM careless_notes")]

    @post(permission=WRITE)
    async def write_note(self, data: NoteCreate, uow: UnitOfWork) -> Note:
        return await insert(uow, data.text)

    @post("/coded", permission=READ)
    async def write_coded(self, data: Coded) -> None:
        pass

    @post("/wipe", permission=WRITE)
    async def wipe_notes(self, uow: UnitOfWork) -> None:
        await uow.execute("UPDATE careless_notes SET text = text || '.'")

    @post("/prune", permission=PRUNE)
    async def prune_notes(self, uow: UnitOfWork) -> None:
        await uow.execute("SELECT 1")

    @get("/file", permission=READ)
    async def read_file(self) -> None:
        with open(__file__) as file:
            file.read()

    @get("/sum", permission=READ)
    async def work_sum(self) -> None:
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            pass

    @get("/fall", permission=READ)
    async def read_fall(self) -> None:
        raise KeyError("fall")


@hookspec
def careless_things(context):
    """Things."""


@hookimpl
def controllers():
    return (NoteController,)


@hookimpl
def piccolo_app():
    return PiccoloApp(name="careless", tables=(Notes, Secrets), migrations="PACKAGE:migrations")


@hookimpl
def permissions():
    return (Permission(READ, "read notes"), Permission(WRITE, "write notes"), Permission(FORGET, "nothing"),
            Permission(PRUNE, "remove notes"))


@hookimpl
def roles():
    return (RoleGrant("member", (READ,)), RoleGrant("anonymous", (WRITE,)), RoleGrant("administrator", (PRUNE,)))


@hookimpl
def events():
    return (NoteWritten, NoteCounted)


@hookimpl
def event_handlers():
    return (
        EventHandler(event="careless.note_written", name="note_again", type=Noted, handle=note_again),
        EventHandler(event="careless.note_written", name="trip", type=Noted, handle=trip),
    )


@hookimpl
def jobs():
    return (Job(name="careless.count", payload=Nothing, run=count),)
'''

MIGRATION = """
from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "notes"


async def forwards():
    return sql_migration(
        app="careless",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            "CREATE TABLE careless_notes (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, text text NOT NULL)",
            "GRANT SELECT, INSERT, UPDATE ON careless_notes TO pegboard_app",
            "CREATE TABLE careless_secrets (id uuid NOT NULL, tenant_id uuid NOT NULL,"
            " word text NOT NULL CHECK (word ~ '^zyx[0-9]{7}$'), PRIMARY KEY (tenant_id, id))",
            protect_table("careless_secrets", privileges="SELECT, INSERT"),
            "CREATE FUNCTION careless_one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "REVOKE ALL ON FUNCTION careless_one() FROM PUBLIC",
        ),
        backwards=("DROP TABLE careless_secrets", "DROP TABLE careless_notes"),
    )
"""

EXAMPLES = """
from uuid import UUID

from PACKAGE.plugin import Noted


async def examples(kernel, tenant):
    return [Noted(UUID(int=7))]
"""


def add_careless(workshop: Workshop) -> None:
    """Install it."""
    workshop.add(
        "careless",
        PLUGIN,
        permissions=PERMISSIONS,
        events={"careless.note_written": "A note was written.", "careless.note_counted": "One was counted."},
        tables=["careless_notes", "careless_secrets"],
        files={"conformance.py": EXAMPLES, "migrations/careless_2026_11_24_0001.py": MIGRATION},
    )


ENDLESS = """
from typing import ClassVar

import msgspec
from pegboard_sdk import Event, EventHandler, hookimpl


class Rung(Event, frozen=True):
    name: ClassVar[str] = "endless.rung"


class Heard(msgspec.Struct, frozen=True):
    pass


async def ring(uow, event):
    await uow.emit(Rung())


@hookimpl
def events():
    return (Rung,)


@hookimpl
def event_handlers():
    return (EventHandler(event="endless.rung", name="ring", type=Heard, handle=ring),)
"""


def add_endless(workshop: Workshop) -> None:
    """Install one whose handler emits the event that it handles."""
    workshop.add("endless", ENDLESS, events={"endless.rung": "It rang."})


def add_leaner(workshop: Workshop) -> None:
    """Install one that implements the other's hook and does not say that it requires it."""
    workshop.add(
        "leaner",
        "from pegboard_sdk import hookimpl\n@hookimpl\ndef careless_things():\n    return ()\n",
        after={"careless": ">=1"},
    )


CODED = """
from typing import Annotated

import msgspec
from pegboard_sdk import Permission, RoleGrant, UnitOfWork, hookimpl, new_id
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller, post
from piccolo.columns import UUID as UuidColumn
from piccolo.columns import Text
from piccolo.table import Table


class Codes(Table, tablename="coded_codes"):
    id = UuidColumn(primary_key=True, default=None)
    tenant_id = UuidColumn(null=False, default=None)
    code = Text(null=False, default=None)


class CodeCreate(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(pattern="^zyx[0-9]{7}$")]


class CodeController(Controller):
    path = "/codes"

    @post(permission="coded:code.write", status=204)
    async def write_code(self, data: CodeCreate, uow: UnitOfWork) -> None:
        assert data.code == "zyx0000007"


@hookimpl
def controllers():
    return (CodeController,)


@hookimpl
def piccolo_app():
    return PiccoloApp(name="coded", tables=(Codes,), migrations="PACKAGE:migrations")


@hookimpl
def permissions():
    return (Permission("coded:code.write", "write codes"),)


@hookimpl
def roles():
    return (RoleGrant("member", ("coded:code.write",)),)
"""

CODES = """
from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "codes"


async def forwards():
    return sql_migration(
        app="coded",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            "CREATE TABLE coded_codes (id uuid NOT NULL, tenant_id uuid NOT NULL,"
            " code text NOT NULL CHECK (code ~ '^zyx[0-9]{7}$'), PRIMARY KEY (tenant_id, id))",
            protect_table("coded_codes", privileges="SELECT, INSERT"),
        ),
        backwards=("DROP TABLE coded_codes",),
    )
"""

OFFERS = """
from PACKAGE.plugin import CodeCreate
from pegboard_sdk import new_id


async def examples(kernel, tenant):
    async with kernel.work(kernel.system(tenant)) as uow:
        await uow.execute(
            "INSERT INTO coded_codes (id, tenant_id, code) VALUES ($1, $2, $3)", new_id(), tenant, "zyx0000001"
        )
    return [CodeCreate("zyx0000007")]
"""


def add_coded(workshop: Workshop) -> None:
    """Install one whose rows and bodies nobody makes up, and which offers them."""
    workshop.add(
        "coded",
        CODED,
        permissions={"coded:code.write": "write codes"},
        tables=["coded_codes"],
        files={"conformance.py": OFFERS, "migrations/coded_2026_11_24_0001.py": CODES},
    )
