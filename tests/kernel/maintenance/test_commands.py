"""`pegboard maintenance` beside a running server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.processes import until
from tests.support.served import Serve, Served, serving

GIGS = "/api/v1/creation_studio/gigs"


@pytest.fixture
def serve(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Serve]:
    yield from serving(tmp_path, database_url, redis_url)


def pegboard(served: Served, *arguments: str) -> str:
    command = [sys.executable, "-m", "pegboard", "maintenance", *arguments]
    done = subprocess.run(command, env=os.environ | served.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_running_server_keeps_to_the_command_line(serve: Serve):
    served = serve("--port", "0")
    with httpx.Client(base_url=served.url) as client:
        assert pegboard(served, "status") == "off"
        shown = pegboard(served, "on", "--minutes", "5", "--message", "Back at noon.")
        assert shown.startswith("on since ")
        assert shown.endswith(": Back at noon.")
        try:
            until(lambda: client.get(GIGS).status_code == 503, timeout=5)
            problem = client.get(GIGS)
            assert problem.json()["detail"] == "Back at noon."
            assert 200 < int(problem.headers["retry-after"]) <= 301
            assert client.get("/health/ready").status_code == 200
            assert msgspec.json.decode(pegboard(served, "status", "--json"))["on"] is True
        finally:
            assert pegboard(served, "off") == "off"
        until(lambda: client.get(GIGS).status_code == 200, timeout=5)
