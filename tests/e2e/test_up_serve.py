"""`pegboard serve`: the API without a supervisor, as in production."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from pegboard.supervisor.ports import Address

from tests.support.processes import left_of, until
from tests.support.served import Serve, is_ready, serving
from tests.support.up import environment, write_config


@pytest.fixture
def serve(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Serve]:
    """Starts servers on free ports; they are ended with the test."""
    yield from serving(tmp_path, database_url, redis_url)


def test_it_serves_logs_json_only_and_stops_cleanly(serve: Serve) -> None:
    served = serve("--port", "0")
    answer = httpx.get(f"{served.url}/nothing", headers={"connection": "close"})
    assert answer.status_code == 404
    children = psutil.Process(served.process.pid).children(recursive=True)
    assert len(children) == 1
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    assert left_of(children) == []
    # The connection that it closed lingers; the next one listens on the port at once all the same.
    Address("127.0.0.1", int(served.url.rpartition(":")[2])).release()
    lines = served.lines()
    assert any(line.get("request_id") == answer.headers["x-request-id"] for line in lines)
    assert all({"timestamp", "level", "event"} <= line.keys() for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sigterm_while_it_loads_ends_it_at_once(serve: Serve) -> None:
    served = serve("--port", "0", wait=False)
    main = psutil.Process(served.process.pid)
    until(lambda: bool(main.children()) and not catches_sigterm(main.children()[0].pid))
    served.process.terminate()
    served.process.wait(20)


def catches_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_of_several_processes_one_that_dies_is_replaced(serve: Serve) -> None:
    served = serve("--port", "0", "--workers", "2")
    main = psutil.Process(served.process.pid)
    first = main.children()
    assert len(first) == 2
    first[0].kill()
    until(lambda: len([child for child in main.children() if child.is_running() and child != first[0]]) == 2)
    until(lambda: is_ready(served.url))
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 0


def test_a_taken_port_is_refused(serve: Serve) -> None:
    served = serve("--port", "0")
    result = subprocess.run(
        [sys.executable, "-m", "pegboard", "serve", "--port", served.url.rpartition(":")[2]],
        env=served.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "is taken" in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_it_lacks_is_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pegboard", "serve", "--port", "0"],
        env=environment(write_config(tmp_path), {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("pegboard: database.url is not set")
    assert result.stderr.count("\n") == 1
