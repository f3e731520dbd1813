"""A plugin on a running platform: what the dynamic rules look at."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.ids import new_id
from pegboard_sdk.manifest import Manifest

from pegboard.conformance.dynamic.detector import BlockingDetector
from pegboard.database.migrate import migrate
from pegboard.database.urls import OWNER, derive_url, master_key_bytes
from pegboard.plugins.discovery import Candidate, discover
from pegboard.plugins.registry import LoadedPlugin
from pegboard.testing.kit import open_kernel
from pegboard.testing.platform import TestPlatform
from pegboard.testing.servers import BARE, POSTGRES, create_database, drop_database

if TYPE_CHECKING:
    from pegboard.conformance.dynamic.exercise import Exercise

__all__ = ("Subject", "open_subject")


class Subject:
    """A plugin under examination.

    `kernel` is a running platform with the plugin and what it requires on. `folder` is its package's, `module` holds
    its hooks.
    """

    def __init__(
        self,
        kernel: TestPlatform,
        candidate: Candidate,
        detector: BlockingDetector,
        settings: Mapping[str, Mapping[str, Any]],
        also: Sequence[str],
    ) -> None:
        self.kernel = kernel
        self.name = kernel.plugin
        self.module = candidate.module
        self.folder: Path = candidate.path.parent
        self.detector = detector
        self.settings = settings
        self.also = also
        self.plugin: LoadedPlugin = next(one for one in kernel.registry.plugins if one.name == self.name)
        self.distribution = self.plugin.distribution
        self.manifest: Manifest = self.plugin.manifest
        self._exercise: asyncio.Task[Exercise] | None = None

    async def exercised(self) -> "Exercise":
        """What came of using all of the plugin, in a marketplace of its own. It is done once."""
        from pegboard.conformance.dynamic.exercise import exercise  # it takes a subject

        if self._exercise is None:
            self._exercise = asyncio.create_task(exercise(self))
        return await asyncio.shield(self._exercise)

    @property
    def package(self) -> str:
        """The name of its top-level package."""
        return self.module.partition(".")[0]

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
    found = await asyncio.to_thread(discover)
    if plugin not in found.candidates:
        raise RuntimeError(found.broken.get(plugin, f"no installed package offers a plugin {plugin}"))
    detector = BlockingDetector(found.candidates[plugin].path.parent)
    async with AsyncExitStack() as stack:
        opening = open_kernel(plugin, settings=settings or {}, secrets=secrets or {}, also=also)
        with detector.watching():
            kernel = await stack.enter_async_context(opening)
        yield Subject(kernel, found.candidates[plugin], detector, settings or {}, also)
