"""The servers of this test run, shared by all its processes.

Whoever needs them first starts a keeper, a process that holds them. Each user of theirs holds a shared lock on a file
as long as it lives; once the keeper gets the exclusive one nobody is left, and it ends them. A killed process holds no
lock, and a killed keeper's servers end with it (`embedded/guard.py`), so nothing is left running.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from pegboard.testing.servers import ENVIRONMENT, POSTGRES, Servers

__all__ = ("use_servers",)

RUN = "PYTEST_XDIST_TESTRUNUID"
"""What pytest-xdist's workers have in common."""
POLL = 0.02


def use_servers() -> None:
    """Have the run's servers, for the life of this process. Their addresses are in the environment.

    Raises:
        RuntimeError: they can't be started; the text says why.
    """
    if POSTGRES in os.environ:
        return
    folder = Path(tempfile.gettempdir()) / f"pegboard-run-{os.environ.get(RUN) or uuid4().hex}"
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Never closed: the lock ends with the process.
        users = os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)
        if os.fstat(users).st_nlink:
            break
        os.close(users)  # those of earlier users have just been ended
    found = folder / "servers.json"
    with (folder / "starting").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if not found.exists():
            _start_keeper(folder, found)
    os.environ.update(json.loads(found.read_text()))


def _start_keeper(folder: Path, found: Path) -> None:
    log = folder / "keeper.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A terminal's Ctrl-C goes to who uses the servers, and these end them.
            start_new_session=True,
        )
    while not found.exists():
        if keeper.poll() is not None:
            raise RuntimeError(f"the servers of the tests can't be started:\n{log.read_text()[-4000:]}")
        time.sleep(POLL)


def _keep(folder: Path) -> None:
    """Hold the servers until nobody uses them."""
    servers = Servers.start()
    try:
        unfinished = folder / "servers.json.new"
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps({name: os.environ[name] for name in ENVIRONMENT}))
        unfinished.rename(folder / "servers.json")
        with (folder / "users").open("r+") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            shutil.rmtree(folder)
    finally:
        servers.stop()


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
