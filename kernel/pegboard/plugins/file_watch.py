"""Notices when a person edits `plugins.toml`, and makes what it says the wanted set.

A file that differs from the wanted revision is news only if it *changed*: on several machines with a file each, a
toggle changes one of them, and the others must not undo it.
"""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from uuid import UUID

import structlog

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.plugins import revisions
from pegboard.plugins.plugins_file import file_hash, file_key
from pegboard.plugins.processes import node_name
from pegboard.plugins.wanted import conflict, enabled_plugins

__all__ = ("FileWatch",)

log = structlog.get_logger(__name__)


class FileWatch:
    """One process's eye on its `plugins.toml`. `error` says why the file as it is now can't be used, if so."""

    def __init__(self, path: Path, reload: Callable[[], Config], process: UUID) -> None:
        self.error: str | None = None
        self._path = path
        self._reload = reload
        self._process = process
        self._signature: tuple[int, int, int] | None = None
        self._hash: str | None = None
        self._enabled: frozenset[str] | None = None

    async def look(self, database: Database) -> None:
        """Import the file if it changed since any process of this machine read it last.

        Costs one `stat` when it didn't.
        """
        signature = await asyncio.to_thread(self._stat)
        if signature == self._signature:
            return
        proposed = False
        async with database.system_transaction() as connection:
            # Toggles write the file while they hold the lock: only now do file and record belong together.
            await revisions.lock(connection)
            try:
                content = await asyncio.to_thread(file_hash, self._path)
            except OSError as error:
                self._refuse(f"{self._path} can't be read: {error.strerror}")
                return
            if content != self._hash:
                config = await asyncio.to_thread(self._read)
                if config is None:
                    self._hash, self._signature = content, signature
                    return
                self._enabled = enabled_plugins(config)
                node, path = node_name(), file_key(self._path)
                recorded = await revisions.recorded_file(connection, node, path)
                if recorded != content:
                    news = recorded is not None or not await revisions.is_known_file(connection, content)
                    await revisions.record_file(connection, node, path, content)
                    if news:
                        revision = await revisions.propose(
                            connection, self._enabled, file_hash=content, origin="file", by_process=self._process
                        )
                        proposed = True
                        log.info("plugins.file_imported", revision=revision.number, plugins=revision.plugins)
        self.error = None
        self._hash, self._signature = content, signature
        if proposed:
            await revisions.notify(database)

    def conflict(self, plugins: Collection[str]) -> str | None:
        """How the file differs from the wanted `plugins`, which count; None where they agree."""
        return None if self._enabled is None else conflict(self._path, self._enabled, plugins, node_name())

    def _read(self) -> Config | None:
        try:
            return self._reload()
        except ConfigError as error:
            self._refuse(str(error))
            return None

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
