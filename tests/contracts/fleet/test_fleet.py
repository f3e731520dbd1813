"""A platform with a broken plugin for every fault starts, serves, says what is wrong with each, and does its job."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contracts.fleet.broken import FLEET, Broken, install
from tests.e2e.conftest import open_folder
from tests.e2e.demo.api import Transcript
from tests.e2e.demo.processes import Platform
from tests.e2e.demo.story import Story
from tests.support.processes import until
from tests.support.up import Up, environment, write_config
from tests.support.workshop import Workshop

EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"
ENV = {
    "PEGBOARD_ADMINISTRATOR__EMAIL": EMAIL,
    "PEGBOARD_ADMINISTRATOR__PASSWORD": PASSWORD,
    "PEGBOARD_FINANCE__SANDBOX": "true",
    "PEGBOARD_ISOLATION__IMPORT_TIMEOUT": "5",
    "PEGBOARD_ISOLATION__STARTUP_TIMEOUT": "1",
    "PEGBOARD_ISOLATION__HEALTH_INTERVAL": "0.2",
    "PEGBOARD_ISOLATION__HEALTH_FAILURES": "3",
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = open_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def env(folder: Path) -> dict[str, str]:
    return {**ENV, "PYTHONPATH": str(folder / "site")}


@pytest.fixture(scope="module")
def up(folder: Path, env: dict[str, str]) -> Iterator[Up]:
    """The platform with the whole fleet."""
    (folder / "site").mkdir()
    tables = install(Workshop(folder / "site"))
    config = write_config(folder)
    config.write_text(f"{config.read_text()}\n{tables}")
    with Up(config, env=env) as running:
        yield running


def listed(up: Up, env: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What `pegboard plugins list` says, by plugin."""
    result = subprocess.run(
        [sys.executable, "-P", "-m", "pegboard", "plugins", "list", "--json"],
        env=environment(up.config, env),
        cwd=up.config.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {one["name"]: one for one in json.loads(result.stdout)["plugins"]}


@pytest.fixture(scope="module")
def plugins(up: Up, env: dict[str, str]) -> dict[str, dict[str, Any]]:
    return listed(up, env)


@pytest.mark.parametrize("broken", FLEET, ids=lambda one: one.name)
def test_each_fault_is_named(plugins: dict[str, dict[str, Any]], broken: Broken) -> None:
    found = plugins[broken.name]
    if broken.name == "feels_unwell":
        # Its turn comes while the platform runs.
        assert found["state"] in ("enabled", "quarantined")
        return
    assert (found["state"], broken.told in (found["reason"] or found["summary"])) == (broken.state, True), found[
        "reason"
    ]


def test_one_start_names_them_all_in_its_own_lines(up: Up) -> None:
    lines = {name: line for line in up.lines if (name := line.removeprefix("  ! plugin ").partition(" ")[0]) != line}
    for broken in FLEET:
        if broken.state != "enabled":
            assert broken.told in lines[broken.name], broken.name
    for name in ("raises_at_startup", "blocks_at_startup", "hangs_at_startup", "raises_in_a_hook", "raises_on_import"):
        assert f"_{name}/plugin.py:" in lines[name], lines[name]


def test_health_has_those_that_run_and_those_that_should(up: Up) -> None:
    with httpx.Client(base_url=up.url) as client:
        answer = client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        found = {one["plugin"]: one for one in client.get("/health/plugins").json()["items"]}
    assert (found["finance"]["state"], found["finance"]["reason"]) == ("enabled", None)
    for broken in FLEET:
        if broken.state != "enabled":
            one = found[broken.name]
            assert (one["state"], one["ok"], broken.told in one["reason"]) == (broken.state, False, True), one


def test_the_main_job_is_done(up: Up) -> None:
    command = (sys.executable, "-P", "-m", "pegboard")
    story = Story(Platform(up.url, EMAIL, PASSWORD, command, up.config.parent), "", Transcript())
    try:
        for step in (story.register, story.publish, story.search, story.order, story.deliver, story.settle):
            step()
    finally:
        story.close()


def test_a_plugin_that_stays_unwell_is_taken_out_while_the_platform_runs(up: Up, env: dict[str, str]) -> None:
    until(lambda: listed(up, env)["feels_unwell"]["state"] == "quarantined")
    now = listed(up, env)
    assert "its health check head failed 3 times in a row" in now["feels_unwell"]["reason"]
    assert {now[name]["state"] for name in ("raises_in_requests", "misses_a_provider")} == {"enabled"}


def test_failing_requests_open_the_breaker_and_nothing_else(up: Up, env: dict[str, str]) -> None:
    def opened() -> bool:
        answer = httpx.get(f"{up.url}/api/v1/raises_in_requests/things")
        assert answer.status_code in (500, 503), answer.text
        return answer.json()["code"] == "plugin_unavailable"

    until(opened)
    processes = up.run
    assert httpx.get(f"{up.url}/api/v1/blocks_the_loop/things").status_code == 200
    assert httpx.get(f"{up.url}/api/v1/exits_in_requests/things").status_code == 500
    assert up.run == processes
    assert httpx.get(f"{up.url}/api/v1/creation_studio/gigs").status_code == 200
    assert listed(up, env)["raises_in_requests"]["state"] == "enabled"


def test_quarantine_outlives_a_restart_and_safe_mode_leaves_them_all_out(up: Up, env: dict[str, str]) -> None:
    up.kill()
    with Up(up.config, env=env) as again:
        found = listed(again, env)
        for broken in FLEET:
            if broken.state == "quarantined":
                assert found[broken.name]["state"] == "quarantined", found[broken.name]
    with Up(up.config, env=env, arguments=("--safe-mode",)) as safe:
        assert any("safe mode" in line for line in safe.lines)
        assert "Safe mode is on" in httpx.get(safe.url).text
        # The processes that were killed count as there until their last sign of life is ten seconds old.
        until(lambda: {listed(safe, env)[broken.name]["state"] for broken in FLEET} == {"held_back"})
        assert {one["state"] for one in listed(safe, env).values()} == {"held_back", "enabled"}
