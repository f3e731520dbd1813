"""A plugin on a running platform: what the dynamic rules look at."""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.ids import new_id
from pegboard_sdk.manifest import Manifest

from pegboard.database.migrate import migrate
from pegboard.database.urls import OWNER, derive_url, master_key_bytes
from pegboard.plugins.discovery import discover
from pegboard.plugins.registry import LoadedPlugin
from pegboard.testing.kit import open_kernel
from pegboard.testing.platform import TestPlatform
from pegboard.testing.servers import BARE, POSTGRES, create_database, drop_database

__all__ = ("Subject", "open_subject")


class Subject:
    """A plugin under examination.

    `kernel` is a running platform with the plugin and what it requires on. `folder` is its package's, `module` holds
    its hooks.
    """

    def __init__(
        self,
        kernel: TestPlatform,
        module: str,
        settings: Mapping[str, Mapping[str, Any]],
        also: Sequence[str],
    ) -> None:
        self.kernel = kernel
        self.name = kernel.plugin
        self.module = module
        self.settings = settings
        self.also = also
        self.plugin: LoadedPlugin = next(one for one in kernel.registry.plugins if one.name == self.name)
        self.distribution = self.plugin.distribution
        self.manifest: Manifest = self.plugin.manifest

    @property
    def package(self) -> str:
        """The name of its top-level package."""
        return self.module.partition(".")[0]

    @property
    def folder(self) -> Path:
        """Where its package is."""
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.submodule_search_locations
        return Path(next(iter(spec.submodule_search_locations)))

    @property
    def others(self) -> list[LoadedPlugin]:
        """The plugins besides it that are on, in dependency order."""
        return [one for one in self.kernel.registry.plugins if one.name not in ("kernel", self.name)]

    @property
    def tables(self) -> list[str]:
        """The names of the tables that it declares."""
        return [] if self.plugin.app is None else [table._meta.tablename for table in self.plugin.app.tables]

    @property
    def owner_url(self) -> str:
        """The owner's URL of the running platform's database: to look, not to change."""
        return self.owner_of(self.kernel.config.database.url.reveal())

    def owner_of(self, url: str) -> str:
        """The owner's URL of a scratch database."""
        return derive_url(url, OWNER, master_key_bytes(self.kernel.config))

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[str]:
        """A database for the block: roles, and the tables of the kernel and of all others that are on, not of the
        plugin. Gives its superuser's URL.
        """
        name = f"pegboard_scratch_{new_id().hex}"
        url = await create_database(os.environ[POSTGRES], name, template=BARE)
        try:
            apps: list[PiccoloApp] = [one.app for one in self.others if one.app is not None]
            await migrate(url, apps)
            yield url
        finally:
            await drop_database(os.environ[POSTGRES], [name])


@asynccontextmanager
async def open_subject(
    plugin: str,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    secrets: Mapping[str, str] | None = None,
    also: Sequence[str] = (),
) -> AsyncIterator[Subject]:
    """Start a platform with the plugin and what it requires, for the block.

    Raises:
        RuntimeError: the plugin can't be loaded; the text says why.
    """
    async with open_kernel(plugin, settings=settings or {}, secrets=secrets or {}, also=also) as kernel:
        found = await asyncio.to_thread(discover)
        yield Subject(kernel, found.candidates[plugin].module, settings or {}, also)
