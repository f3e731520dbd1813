"""A platform's database of its own for each test, and a plugin to uninstall from it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from pegboard.config.model import Config
from pegboard.database.migrate import connect_as_owner, migrate
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.removal.uninstall import Uninstaller
from pegboard.plugins.wanted import with_plugins
from pegboard.runtime import Runtime
from pegboard.taxonomies.seed import seed
from pegboard_sdk.access import Principal
from pegboard_sdk.ids import new_id

from tests.kernel.plugins.removal.shelves import install
from tests.support.servers import BUILT_IN, TEMPLATE, create_database, make_config
from tests.support.workshop import Workshop

BOOK: dict[str, Any] = {"title": "Emma"}


class Site:
    """A platform's database, and what is done to it. `owner` may do everything."""

    def __init__(self, runtime: Runtime, owner: asyncpg.Connection, workshop: Workshop) -> None:
        self.runtime = runtime
        self.config: Config = runtime.config
        self.owner = owner
        self.workshop = workshop
        self.url = runtime.database.urls.owner
        self.progress: list[str] = []

    async def enable(self, *names: str) -> None:
        """What enabling does to the database: migrate, and seed what the plugins declare."""
        config = msgspec.structs.replace(with_plugins(self.config, {*BUILT_IN, *names}), strict=True)
        registry = load_plugins(config)
        report = await migrate(self.url, [plugin.app for plugin in registry.plugins if plugin.app is not None])
        assert report.failed == {}
        await seed(self.runtime.database, registry)
        self.runtime.registry = registry

    def uninstaller(self, plugin: str = "shelves", config: Config | None = None) -> Uninstaller:
        """As the command line does it."""
        return Uninstaller(
            self.runtime,
            config or self.config,
            plugin,
            Principal(kind="system", tenant_id=DEFAULT_TENANT),
            progress=self.progress.append,
        )

    async def add_book(self, **columns: Any) -> UUID:
        """A book of the default tenant, with the given columns' values in PostgreSQL's text form."""
        book_id = new_id()
        row = {"id": str(book_id), "tenant_id": str(DEFAULT_TENANT), **BOOK, **columns}
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in row)
        types = {
            record["attname"]: record["type"]
            for record in await self.owner.fetch(
                "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
                " WHERE attrelid = 'shelves_books'::regclass AND attnum > 0"
            )
        }
        values = ", ".join(f"${number}::text::{types[name]}" for number, name in enumerate(row, 1))
        await self.owner.execute(f"INSERT INTO shelves_books ({names}) VALUES ({values})", *row.values())
        return book_id

    async def tables(self) -> set[str]:
        """The plugin's tables that are there."""
        rows = await self.owner.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND starts_with(relname, 'shelves_')"
        )
        return {row[0] for row in rows}


@pytest.fixture
async def bare(workshop: Workshop, postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A site on which the plugin was never enabled; its package is installed."""
    install(workshop)
    name = f"removal_{new_id().hex}"
    url = await create_database(postgres_url, name, template=TEMPLATE)
    folder = tmp_path / "site"
    folder.mkdir()
    runtime = await Runtime.open(make_config(folder, url, redis_url), pool_size=2)
    owner = await connect_as_owner(runtime.database.urls.owner)
    yield Site(runtime, owner, workshop)
    await owner.close()
    await runtime.close()
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
async def site(bare: Site) -> Site:
    """A site on which the plugin is migrated, and off."""
    await bare.enable("shelves")
    return bare


Rows = Callable[[], Awaitable[list[Any]]]
