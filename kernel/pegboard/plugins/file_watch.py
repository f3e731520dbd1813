"""Notices when a person edits `plugins.toml`, and makes what it says the wanted set.

A file that differs from the wanted revision is news only if it *changed*: on several machines with a file each, a
toggle changes one of them, and the others must not undo it.
"""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import structlog

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.plugins import revisions
from pegboard.plugins.lifecycle_audit import file_decisions, file_edited
from pegboard.plugins.plugins_file import file_hash, file_key
from pegboard.plugins.processes import node_name
from pegboard.plugins.wanted import conflict, enabled_plugins, source_hash

__all__ = ("FileWatch",)

log = structlog.get_logger(__name__)


class FileWatch:
    """One process's eye on its `plugins.toml`. `error` says why the file as it is now can't be used, if so."""

    def __init__(self, path: Path, reload: Callable[[], Config]) -> None:
        self.error: str | None = None
        self._path = path
        self._reload = reload
        self._signature: tuple[int, int, int] | None = None
        self._settling: tuple[int, int, int] | None = None
        self._config: Config | None = None
        self._enabled: frozenset[str] | None = None
        """What the file turns on; None while that isn't known."""

    async def look(self, database: Database) -> None:
        """Import the file if it changed since a process of this machine read it last. Costs one `stat` otherwise.

        While the process runs, a change counts once it was seen twice: many editors empty a file before they write it,
        and an empty file turns everything off.
        """
        signature = await asyncio.to_thread(self._stat)
        if signature == self._signature:
            return
        if self._signature is not None and signature != self._settling:
            self._settling = signature
            self._enabled = None
            return
        async with database.system_transaction() as connection:
            # Toggles write the file while they hold the lock: only now do file and record belong together.
            await revisions.lock(connection)
            source = await asyncio.to_thread(self._read)
            imported = await self._import(connection, source) if source is not None else False
        self._signature = signature
        if imported:
            await revisions.notify(database)

    async def _import(self, connection: Any, source: str) -> bool:
        """Make what the file says the wanted set, if that is news. Whether it was."""
        assert self._enabled is not None, "the file was read"
        node, path = node_name(), file_key(self._path)
        recorded = await revisions.recorded_file(connection, node, path)
        if recorded == source:
            # A toggle has written it, perhaps over an edit that nobody has looked at.
            await self._note_decisions(connection)
            return False
        news = recorded is not None or not await revisions.is_known_file(connection, source)
        await revisions.record_file(connection, node, path, source)
        await self._note_decisions(connection)
        if news:
            wanted = await revisions.wanted_revision(connection)
            revision = await revisions.propose(connection, self._enabled, file_hash=source, origin="file")
            log.info("plugins.file_imported", revision=revision.number, plugins=revision.plugins)
            if wanted is not None:
                await file_edited(connection, revision, wanted.plugins, node=node, path=str(self._path))
        return news

    async def _note_decisions(self, connection: Any) -> None:
        assert self._config is not None, "the file was read"
        await file_decisions(connection, self._config, node=node_name(), path=file_key(self._path))

    def conflict(self, plugins: Collection[str]) -> str | None:
        """How the file differs from the wanted `plugins`, which count; None where they agree, or that isn't known."""
        return None if self._enabled is None else conflict(self._path, self._enabled, plugins, node_name())

    def _read(self) -> str | None:
        """What the file is known by, as it is now; None where it can't be used."""
        try:
            content = file_hash(self._path)
            self._config = self._reload()
            self._enabled = enabled_plugins(self._config)
        except OSError as error:
            return self._refuse(f"{self._path} can't be read: {error.strerror}")
        except ConfigError as error:
            return self._refuse(str(error))
        self.error = None
        return source_hash(content, self._enabled)

    def _refuse(self, reason: str) -> None:
        if reason != self.error:
            log.error("plugins.file_broken", error=reason)
        self.error = reason

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
