"""One process tries a plugin before the others do: whatever it does to that process, the platform serves on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import until
from tests.support.up import Up, write_config
from tests.support.workshop import Workshop

EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"
PLUGINS = "/api/v1/admin/plugins"
START = """
import os
import time
from pegboard_sdk import hookimpl

async def start():
    {act}

@hookimpl
def on_startup():
    return start
"""
ACTS = {"ends_the_process": "os._exit(7)", "blocks_the_process": "time.sleep(3600)"}


@pytest.fixture(scope="module")
def up(shared_folder: Path) -> Iterator[Up]:
    """A platform with the plugins installed, and off."""
    site = shared_folder / "site"
    site.mkdir()
    workshop = Workshop(site)
    for name, act in ACTS.items():
        workshop.add(name, START.format(act=act))
    env = {
        "PYTHONPATH": str(site),
        "PEGBOARD_ADMINISTRATOR__EMAIL": EMAIL,
        "PEGBOARD_ADMINISTRATOR__PASSWORD": PASSWORD,
        "PEGBOARD_ISOLATION__LOOP_ENDED_AFTER": "2",
        "PEGBOARD_HTTP__RATE_PER_IP": "1000000",
        "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": "1000000",
    }
    with Up(write_config(shared_folder), env=env) as running:
        yield running


@pytest.fixture
def operator(up: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=up.url, timeout=5) as client:
        answer = client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


@pytest.mark.parametrize("name", ACTS)
def test_the_platform_serves_on_and_the_plugin_stays_off(up: Up, operator: httpx.Client, name: str) -> None:
    before = operator.get(PLUGINS).json()["active"]["number"]
    answer = operator.post(f"{PLUGINS}/{name}/enable")
    assert answer.status_code == 202, answer.text
    number = answer.json()["revision"]["number"]

    def found() -> Any:
        assert httpx.get(f"{up.url}/health/ready", timeout=5).status_code == 200
        return operator.get(PLUGINS).json()

    until(lambda: (found()["latest"] or {}).get("state") == "failed", timeout=60)
    told = found()
    assert (told["latest"]["number"], told["active"]["number"]) == (number, before)
    assert "the process that tried it first ended, or hangs" in told["latest"]["reason"]
    # All are back: the API, the worker, the scheduler.
    until(lambda: sorted(one["kind"] for one in found()["processes"]) == ["api", "scheduler", "worker"], timeout=60)
    assert next(one for one in found()["plugins"] if one["name"] == name)["state"] == "disabled"
    assert f"[plugins.{name}]\nenabled = false" in up.config.read_text()
