"""Marks of imports under way, so that a plugin whose import ends the whole process (a crash in native code, `os._exit`,
a hang until it is killed) is known when the process starts again.

A mark is a file in the data folder, there only while third-party code is imported. One that is left by a process which
is gone is a strike; a killed machine leaves one too, so only the second in a row counts.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import structlog

__all__ = ("ImportMarks",)

STRIKES = 2
log = structlog.get_logger(__name__)


class _Mark(msgspec.Struct, frozen=True):
    plugin: str
    version: str
    pid: int
    started: float
    """When the process began, so that another one with its number isn't taken for it."""
    strikes: int


class ImportMarks:
    """The marks of one data folder. Where it can't be written, imports are not marked, which the log says."""

    def __init__(self, var: Path) -> None:
        self._folder = var / "imports"

    def crashed(self) -> dict[str, tuple[str, str]]:
        """Plugins whose import ended processes again and again: name → (version, what to tell)."""
        return {
            mark.plugin: (
                mark.version,
                f"{mark.strikes} processes in a row ended while they imported it",
            )
            for mark in self._left()
            if mark.strikes >= STRIKES
        }

    @contextlib.contextmanager
    def importing(self, plugin: str, version: str) -> Iterator[None]:
        """Mark the import that the block does."""
        left = [mark for mark in self._left() if mark.plugin == plugin and mark.version == version]
        process = psutil.Process()
        strikes = max((mark.strikes for mark in left), default=0) + 1
        mark = _Mark(plugin, version, process.pid, process.create_time(), strikes)
        path = self._folder / f"{plugin}-{os.getpid()}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(mark))
        except OSError as error:
            log.warning("plugin.import_not_marked", plugin=plugin, error=str(error))
        try:
            yield
        finally:
            _remove(path)
            self.forget(plugin)

    def left(self) -> list[str]:
        """Plugins that were being imported when a process ended."""
        return sorted({mark.plugin for mark in self._left()})

    def forget(self, plugin: str) -> None:
        """Remove what gone processes left of the plugin."""
        for mark in self._left():
            if mark.plugin == plugin:
                _remove(self._folder / f"{plugin}-{mark.pid}.json")

    def _left(self) -> list[_Mark]:
        """Marks of processes that are gone."""
        found: list[_Mark] = []
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, msgspec.MsgspecError):  # gone, or half written when the power went
                mark = msgspec.json.decode(path.read_bytes(), type=_Mark)
                if not _is_alive(mark):
                    found.append(mark)
        return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("plugin.import_mark_stays", file=str(path), error=str(error))


def _is_alive(mark: _Mark) -> bool:
    try:
        return abs(psutil.Process(mark.pid).create_time() - mark.started) < 1.0
    except psutil.NoSuchProcess:
        return False
