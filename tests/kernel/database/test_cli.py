"""`pegboard migrate` as a person and a program use it."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import click.testing
import pytest
import structlog
from pegboard.cli import main
from pegboard.database.urls import APP, SYSTEM, derive_url

from tests.kernel.database.conftest import MASTER_KEY

Pegboard = Callable[..., click.testing.Result]


@pytest.fixture(scope="session")
def admin_url(embedded: str) -> str:
    """One major is enough here."""
    return embedded


@pytest.fixture
def pegboard(tmp_path: Path) -> Iterator[Pegboard]:
    """Runs the command with a configuration of no plugins; it sets the log up, as is right where it is the process."""
    (tmp_path / "plugins.toml").write_text("[pegboard]\n")
    root = logging.getLogger()
    before = structlog.get_config(), root.handlers[:], root.level

    def run(url: str, *arguments: str) -> click.testing.Result:
        environment = {"PEGBOARD_DATABASE__URL": url, "PEGBOARD_SECRETS__MASTER_KEY": MASTER_KEY.hex()}
        command = ["--config", str(tmp_path / "plugins.toml"), "migrate", *arguments]
        return click.testing.CliRunner().invoke(main, command, env=environment)

    yield run
    structlog.configure(**before[0])
    root.handlers[:] = before[1]
    root.setLevel(before[2])


def test_it_plans_runs_and_says_so(empty_url: str, pegboard: Pegboard):
    planned = pegboard(empty_url, "--plan")
    assert planned.exit_code == 0, planned.stderr
    assert "pending kernel 2026-11-24T00:01:00:000000 Foundation" in planned.stdout

    run = pegboard(empty_url, "--json")
    assert run.exit_code == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["failed"] == {}
    assert len(report["applied"]) == len(planned.stdout.splitlines())

    assert pegboard(empty_url).stdout == pegboard(empty_url, "--plan").stdout == "nothing to run\n"
    states = json.loads(pegboard(empty_url, "status", "--json").stdout)["migrations"]
    assert [state["state"] for state in states] == ["applied"] * len(report["applied"])
    assert states[0]["applied_at"] is not None
    assert "applied" in pegboard(empty_url, "status").stdout


async def test_it_seeds_the_taxonomies_of_the_plugins_that_are_on(empty_url: str, pegboard: Pegboard, tmp_path: Path):
    (tmp_path / "plugins.toml").write_text("[plugins.creation_studio]\nenabled = true\n")
    for _ in range(2):
        # The command has an event loop of its own.
        run = await asyncio.to_thread(pegboard, empty_url)
        assert (run.exit_code, run.stderr) == (0, "")
    connection = await asyncpg.connect(derive_url(empty_url, SYSTEM, MASTER_KEY))
    try:
        seeded = {row[0] for row in await connection.fetch("SELECT name FROM kernel_taxonomies")}
        terms = await connection.fetchval("SELECT count(*) FROM kernel_taxonomy_terms WHERE slug = 'logo-design'")
    finally:
        await connection.close()
    assert seeded == {"service_categories", "skills"}
    assert terms == 1


def test_check_compares_the_database_with_what_is_declared(empty_url: str, pegboard: Pegboard):
    before = pegboard(empty_url, "check", "--json")
    assert before.exit_code == 2
    assert (
        "kernel_tenants: declared by KernelTenant, and no migration makes it" in json.loads(before.stdout)["problems"]
    )
    pegboard(empty_url)
    after = pegboard(empty_url, "check")
    assert (after.exit_code, after.stdout, after.stderr) == (0, "ok\n", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: "", "database.url is not set: start it with `pegboard up`"),
        (lambda url: "postgresql://nobody:pw@127.0.0.1:1/x", "PostgreSQL does not answer at 127.0.0.1:1: start it, or"),
        (lambda url: "postgresql:///x?host=/nowhere", "PostgreSQL does not answer at /nowhere: start it, or"),
        (lambda url: derive_url(url, APP, b"another key"), "password authentication failed"),
        (lambda url: derive_url(url, APP, MASTER_KEY), "may not set the database up"),
    ],
)
def test_what_goes_wrong_is_one_line(url: str, pegboard: Pegboard, change: Callable[[str], str], message: str):
    result = pegboard(change(url))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


@pytest.mark.parametrize("command", [(), ("status",), ("check",)])
def test_help_has_an_example(pegboard: Pegboard, command: tuple[str, ...]):
    shown = pegboard("", *command, "--help")
    assert shown.exit_code == 0
    assert f"pegboard migrate{''.join(f' {word}' for word in command)}" in shown.stdout.partition("Example")[2]
