"""One pair of servers for all processes of a run, and nothing left of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from pegboard.testing.servers import ENVIRONMENT, POSTGRES

from tests.support.processes import left_of

USER = """
import json, os, sys
from pegboard.testing.servers import ENVIRONMENT
from pegboard.testing.shared import use_servers
use_servers()
print(json.dumps({name: os.environ[name] for name in ENVIRONMENT}), flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the servers of `run` until it is killed."""

    def __init__(self, run: str) -> None:
        environ = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER],
            env=environ | {"PYTEST_XDIST_TESTRUNUID": run},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def servers(self) -> dict[str, str]:
        """Where the servers are, once they are there."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        """End it as nobody could prepare for."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def run() -> Iterator[str]:
    """A run of its own."""
    run = uuid4().hex
    yield run
    shutil.rmtree(folder_of(run), ignore_errors=True)  # where a test failed


def folder_of(run: str) -> Path:
    """Where the run's processes meet."""
    return Path(tempfile.gettempdir()) / f"pegboard-run-{run}"


def keeper_of(run: str) -> list[psutil.Process]:
    """The process that holds the run's servers, and these."""
    keepers = [one for one in psutil.process_iter(["cmdline"]) if str(folder_of(run)) in (one.info["cmdline"] or ())]
    return [found for keeper in keepers for found in (keeper, *keeper.children(recursive=True))]


def test_they_are_shared_and_outlive_one_user_but_not_the_last(run: str) -> None:
    first, second = User(run), User(run)
    assert first.servers() == second.servers()
    processes = keeper_of(run)
    assert len(processes) > 3

    first.kill()
    third = User(run)
    assert third.servers()[POSTGRES]
    assert all(process.is_running() for process in processes)
    second.kill()
    third.kill()

    assert left_of(processes, timeout=30) == []
    assert not folder_of(run).exists()


def test_they_end_with_a_keeper_that_is_killed(run: str) -> None:
    user = User(run)
    user.servers()
    keeper, *servers = keeper_of(run)

    keeper.kill()

    assert left_of(servers, timeout=30) == []
    user.kill()
