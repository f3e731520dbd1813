"""A third party's plugin for tests under load: its route takes orders in its table and a job that ticks each off."""

from pathlib import Path

__all__ = ("PATH", "install")

PATH = "/api/v1/ticker/ticks"

_FILES = {
    "plugin.toml": """
name = "ticker"
summary = "Ticks."
version = "1.0.0"
sdk = ">=1,<2"

[permissions]
"ticker:tick.create" = "tick"

[capabilities]
tables = ["ticker_ticks", "ticker_strokes"]
""",
    "plugin.py": '''
"""Ticks."""

from uuid import UUID

import msgspec
from pegboard_sdk import Job, Permission, RoleGrant, UnitOfWork, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller, post
from pegboard_sdk.ids import new_id
from piccolo.columns import UUID as UuidColumn
from piccolo.columns import Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

CREATE = Permission("ticker:tick.create", "tick")


class Ticks(Table, tablename="ticker_ticks"):
    id = UuidColumn(primary_key=True, default=None)
    tenant_id = UuidColumn(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class Strokes(Table, tablename="ticker_strokes"):
    id = UuidColumn(primary_key=True, default=None)
    tenant_id = UuidColumn(null=False, default=None)
    tick_id = UuidColumn(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class Tick(msgspec.Struct, frozen=True):
    """A tick."""

    id: UUID


async def strike(uow: UnitOfWork, payload: Tick) -> None:
    """A row for each time that it runs: twice would be seen."""
    await uow.execute(
        "INSERT INTO ticker_strokes (id, tenant_id, tick_id) VALUES ($1, $2, $3)", new_id(), uow.tenant_id, payload.id
    )


STRIKE = Job(name="ticker.strike", payload=Tick, run=strike)


class TickController(Controller):
    """Ticks."""

    path = "/ticks"

    @post(permission=CREATE.name)
    async def create_tick(self, uow: UnitOfWork) -> Tick:
        """Tick, and have it struck."""
        tick = Tick(new_id())
        await uow.execute("INSERT INTO ticker_ticks (id, tenant_id) VALUES ($1, $2)", tick.id, uow.tenant_id)
        await uow.enqueue(STRIKE, tick)
        return tick


@hookimpl
def controllers():
    return (TickController,)


@hookimpl
def piccolo_app():
    return PiccoloApp(name="ticker", tables=(Ticks, Strokes), migrations="pegboard_ticker:migrations")


@hookimpl
def permissions():
    return (CREATE,)


@hookimpl
def roles():
    return (RoleGrant(role="member", permissions=(CREATE.name,)),)


@hookimpl
def jobs():
    return (STRIKE,)
''',
    "migrations/ticker_2026_11_24_0001.py": '''
"""Ticks, and what became of them."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "ticks"

COLUMNS = "id uuid PRIMARY KEY, tenant_id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now()"


async def forwards():
    return sql_migration(
        app="ticker",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            f"CREATE TABLE ticker_ticks ({COLUMNS}, UNIQUE (tenant_id, id))",
            f"CREATE TABLE ticker_strokes ({COLUMNS}, tick_id uuid NOT NULL, UNIQUE (tenant_id, id))",
            protect_table("ticker_ticks", privileges="SELECT, INSERT"),
            protect_table("ticker_strokes", privileges="SELECT, INSERT"),
        ),
        backwards=("DROP TABLE ticker_strokes", "DROP TABLE ticker_ticks"),
    )
''',
}


def install(folder: Path) -> None:
    """Put the package and its metadata into `folder`, which is to be on the path of the processes that use it."""
    package = folder / "pegboard_ticker"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, text in _FILES.items():
        (package / name).write_text(text.lstrip())
    info = folder / "pegboard_ticker-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pegboard-ticker\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[pegboard.plugins]\nticker = pegboard_ticker.plugin\n")
