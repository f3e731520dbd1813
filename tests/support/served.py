"""`pegboard serve` as a process of its own, for tests that talk to it over real HTTP."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
from pegboard.testing.servers import HIGH

from tests.support.processes import until
from tests.support.servers import MASTER_KEY
from tests.support.up import environment, write_config

__all__ = ("Serve", "Served", "is_ready", "serving")


class Served(msgspec.Struct):
    """A running `pegboard serve`."""

    process: subprocess.Popen[bytes]
    log: Path
    env: dict[str, str]
    url: str = ""

    def lines(self) -> list[dict[str, object]]:
        """The log so far: every line is JSON."""
        return [msgspec.json.decode(line) for line in self.log.read_bytes().splitlines()]


Serve = Callable[..., Served]


def serving(folder: Path, database_url: str, redis_url: str, **environ: str) -> Iterator[Serve]:
    """Gives what starts servers on a migrated database; they are ended when it is resumed. `environ` holds settings of
    all, what is given by name at a start those of one.
    """
    running: list[subprocess.Popen[bytes]] = []
    env = environment(
        write_config(folder),
        {
            "PEGBOARD_DATABASE__URL": database_url,
            "PEGBOARD_REDIS__URL": redis_url,
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
            "PEGBOARD_OUTBOUND__PRIVATE_HOSTS": '{"*": ["127.0.0.1"]}',
            # All tests come from one address, and other tests' guesses are counted in the same Redis.
            "PEGBOARD_HTTP__RATE_GUESSABLE": HIGH,
            "PEGBOARD_HTTP__GUESS_FAILURES": HIGH,
            **environ,
        },
    )

    def start(*arguments: str, wait: bool = True, **own: str) -> Served:
        log = folder / f"serve-{len(running)}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "pegboard", "serve", *arguments]
            process = subprocess.Popen(command, env=env | own, cwd=folder, stdout=output, stderr=output)
        running.append(process)
        served = Served(process, log, env | own)
        if not wait:
            return served
        until(lambda: process.poll() is not None or any("url" in line for line in served.lines()))
        if process.poll() is None:
            served.url = str(next(line["url"] for line in served.lines() if "url" in line))
            until(lambda: is_ready(served.url), timeout=60)
        return served

    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False
