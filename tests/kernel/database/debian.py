"""PostgreSQL 15 as Debian packages it: the oldest major that we claim."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

BINARIES = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
PASSWORD = "only-this-run-reaches-its-socket"
READY_WITHIN = 60.0


def why_not() -> str | None:
    """Why this machine can't run it."""
    if not (BINARIES / "postgres").exists():
        return "PostgreSQL 15 is not installed: apt-get install postgresql-15"
    return None


class DebianPostgres:
    """A server on a private socket, without durability."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._process = process
        self.url = f"postgresql://{USER}:{PASSWORD}@/postgres?host={folder}"

    @classmethod
    def start(cls) -> Self:
        """Initialise a data folder and start a server on it."""
        folder = Path(tempfile.mkdtemp(prefix="pg15-"))
        # PostgreSQL refuses to run as root.
        user = USER if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(folder, user)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        initdb = [BINARIES / "initdb", "-D", folder / "data", "-U", USER, f"--pwfile={password}", "-A", "scram-sha-256"]
        subprocess.run([*initdb, "-N", "-E", "UTF8"], check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
        options = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [BINARIES / "postgres", "-D", folder / "data", *options], user=user, cwd="/", stdout=log, stderr=log
            )
        server = cls(folder, process)
        try:
            server._wait()
        except BaseException:
            server.stop()
            raise
        return server

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while subprocess.run([BINARIES / "pg_isready", "-q", "-h", self._folder], check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())

    def stop(self) -> None:
        """End it and remove its data."""
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)
