"""Marks of plugins' code that runs while a process starts, so that a plugin which ends the whole process there (a crash
in native code, `os._exit`, a hang until it is killed) is known when the process starts again.

A mark is a file in the data folder, there only while a third party's plugin is imported, has its hooks called or
starts. One that is left by a process which is gone is a strike; a killed machine leaves one too, so only the second in
a row counts.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import psutil
import structlog
from pegboard_sdk.ids import new_id

from pegboard.plugins.failure import Cause, Failure

__all__ = ("StartMarks",)

STRIKES = 2
ELSEWHERE = 120.0
"""Seconds after which a mark of another boot counts: locks of another machine may not be seen here."""
_ENDED = {"import": "imported it", "hook": "called its hooks", "startup": "ran its on_startup"}
_DOING = {"import": "importing {}", "hook": "calling the hooks of {}", "startup": "running the on_startup of {}"}
log = structlog.get_logger(__name__)


class _Mark(msgspec.Struct, frozen=True):
    plugin: str
    version: str
    cause: Cause
    strikes: int
    boot: str
    told: str = ""
    """What it did, where that is known."""


class StartMarks:
    """The marks of one data folder, which several machines and containers may share. Where it can't be written, nothing
    is marked, which the log says.

    Whose process lives is told by a lock on the mark's file, which the system drops with the process: numbers of
    processes mean nothing in another container.
    """

    def __init__(self, var: Path) -> None:
        self._folder = var / "starts"
        self._boot = _boot()
        self._held: dict[str, Path] = {}

    def crashed(self) -> dict[str, Failure]:
        """Plugins that ended processes again and again, or surely: name → what they did."""
        return {
            mark.plugin: Failure(
                mark.cause,
                mark.told or f"{mark.strikes} processes in a row ended while they {_ENDED[mark.cause]}",
                mark.version,
            )
            for _, mark in self._left()
            if mark.strikes >= STRIKES
        }

    @contextlib.contextmanager
    def during(self, plugin: str, version: str, cause: Cause) -> Iterator[None]:
        """Mark what the block does with the plugin."""
        mark = _Mark(plugin, version, cause, self._strikes(plugin, version, cause) + 1, self._boot)
        held = self._write(mark)
        if held is not None:
            self._held[plugin] = held[0]
        try:
            yield
        finally:
            if held is not None:
                _unlink(held[0])
                os.close(held[1])
            self._forget(plugin, cause)

    def withdraw(self, plugin: str) -> None:
        """Remove the mark of a block that is given up, as it doesn't end: when this process does, it has another
        reason.
        """
        if plugin in self._held:
            _unlink(self._held[plugin])

    def blame(self, plugin: str, version: str, cause: Cause, told: str) -> None:
        """Note of a plugin that is about to end this process what it did: it has no further try. Others whose code is
        marked in this process are not at fault.
        """
        for other in self._held.values():
            _unlink(other)
        held = self._write(_Mark(plugin, version, cause, STRIKES, self._boot, told))
        if held is not None:
            os.close(held[1])

    def suspects(self) -> frozenset[str]:
        """Plugins that were starting when a process ended: one of them may have ended it."""
        return frozenset(mark.plugin for _, mark in self._left() if mark.cause == "startup")

    def left(self) -> str:
        """What processes were doing when they ended, in words; empty where nothing was left."""
        return ", ".join(sorted({_DOING[mark.cause].format(mark.plugin) for _, mark in self._left()}))

    def strikes(self) -> Mapping[tuple[str, str, str], int]:
        """How often processes ended, by plugin, version and what was done with it."""
        found: dict[tuple[str, str, str], int] = {}
        for _, mark in self._left():
            key = (mark.plugin, mark.version, mark.cause)
            found[key] = max(mark.strikes, found.get(key, 0))
        return found

    def forget(self, plugin: str) -> None:
        """Remove what gone processes left of the plugin."""
        for path, mark in self._left():
            if mark.plugin == plugin:
                _unlink(path)

    def forgive(self) -> None:
        """Remove the strikes that gone processes left, as when somebody ended them who meant no plugin. What is known
        of a plugin stays.
        """
        for path, mark in self._left():
            if not mark.told:
                _unlink(path)

    def plugins(self) -> frozenset[str]:
        """Of which plugins gone processes left something."""
        return frozenset(mark.plugin for _, mark in self._left())

    def _forget(self, plugin: str, cause: Cause) -> None:
        for path, mark in self._left():
            if (mark.plugin, mark.cause) == (plugin, cause):
                _unlink(path)

    def _strikes(self, plugin: str, version: str, cause: Cause) -> int:
        return self.strikes().get((plugin, version, cause), 0)

    def _write(self, mark: _Mark) -> tuple[Path, int] | None:
        path = self._folder / f"{mark.plugin}-{new_id()}.json"
        scratch = path.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                # Locked before it is there under its name: nobody finds it without.
                with contextlib.suppress(OSError):  # a file system without locks: then its age counts
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(descriptor, msgspec.json.encode(mark))
                scratch.rename(path)
            except BaseException:  # it goes on from here; the descriptor doesn't stay
                os.close(descriptor)
                raise
        except OSError as error:
            log.warning("plugin.start_not_marked", plugin=mark.plugin, error=str(error))
            return None
        return path, descriptor

    def _left(self) -> list[tuple[Path, _Mark]]:
        """Marks of processes that are gone."""
        found: list[tuple[Path, _Mark]] = []
        for path in sorted(self._folder.glob("*.json")):
            # Gone by now, or half written when the power went.
            with contextlib.suppress(OSError, msgspec.MsgspecError), path.open("rb") as file:
                mark = msgspec.json.decode(file.read(), type=_Mark)
                if self._is_left(file.fileno(), mark):
                    found.append((path, mark))
        return found

    def _is_left(self, descriptor: int, mark: _Mark) -> bool:
        age = time.time() - os.fstat(descriptor).st_mtime
        if mark.boot != self._boot and age < ELSEWHERE:
            return False
        try:
            # Shared: those who look at the same time don't take each other for the one that holds it.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return age >= ELSEWHERE
        return True


def _boot() -> str:
    """Which run of which machine this is; containers of one have it in common."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{os.uname().nodename} {psutil.boot_time():.0f}"


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("plugin.start_mark_stays", file=str(path), error=str(error))
