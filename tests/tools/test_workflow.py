"""The workflow runs the README's own commands, on the Pythons that are claimed, and may do no more than it needs."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture
def workflow() -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(steps: list[dict[str, Any]]) -> list[str]:
    return [line for step in steps for line in step.get("run", "").splitlines()]


def test_it_runs_what_the_readme_says_and_nothing_that_make_does_not_know(workflow: dict[str, Any]) -> None:
    run = commands(steps(workflow))
    made = [re.split(r"\s+", line)[1] for line in run if line.startswith("make ")]

    assert {"check", "test"} <= set(made)
    assert set(made) <= TARGETS
    readme = (ROOT / "README.md").read_text()
    assert all(f"make {target}" in readme for target in ("check", "test", "demo"))
    for line in run:
        for file in re.findall(r"requirements[\w-]*\.lock", line):
            assert (ROOT / file).is_file(), file


def test_it_runs_on_the_oldest_python_that_is_claimed_and_on_the_newest(workflow: dict[str, Any]) -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    job = workflow["jobs"]["test"]

    assert job["strategy"]["matrix"]["python"] == [oldest, "3.x"]
    assert {"make check", "make test"} <= set(commands(job["steps"]))


def test_it_may_only_read_and_each_action_s_major_version_is_pinned(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job and job["timeout-minutes"] for job in workflow["jobs"].values())
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action), action
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
