"""`pegboard plugins`, with and without a platform that runs."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from pegboard.cli import main
from pegboard.plugins.plugins_file import with_enabled

from tests.support.fleet import Fleet, overview
from tests.support.fleet import operator as make_operator
from tests.support.platform import TestPlatform
from tests.support.servers import MASTER_KEY, REDIS
from tests.support.workshop import Workshop

Cli = Callable[..., Result]

NOISY = (
    "from pegboard_sdk import Permission, hookimpl\n@hookimpl\ndef permissions(): return [Permission('noisy:a.b', 'c')]"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "plugins.toml"
    path.write_text("# Ours.\n[plugins.hello]\nenabled = true\n\n[plugins.guest]\nenabled = false\n")
    return path


@pytest.fixture
def cli(config: Path) -> Cli:
    """Runs `pegboard plugins …` where no platform is."""

    def run(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(config), "plugins", *arguments], env=env)

    return run


@pytest.fixture
def installed(workshop: Workshop) -> Workshop:
    workshop.add("hello")
    workshop.add("guest", requires={"hello": ">=1"})
    workshop.add("broken", "1 / 0")
    return workshop


def test_list_says_what_is_on_and_why_not(installed: Workshop, cli: Cli) -> None:
    listed = json.loads(cli("list", "--json").stdout)["plugins"]
    states = {one["name"]: (one["state"], one["reason"]) for one in listed}

    assert states["hello"] == ("enabled", None)
    assert states["guest"] == ("disabled", "it is turned off")
    assert states["broken"] == ("disabled", "it is installed and nobody turned it on")
    lines = {line.split()[0]: line for line in cli("list").stdout.splitlines()}
    assert "1.0.0    enabled       The plugin hello." in lines["hello"]
    assert "it is turned off" in lines["guest"]


def test_show_tells_one_plugins_needs(installed: Workshop, cli: Cli) -> None:
    shown = cli("show", "guest").stdout

    assert "requires     hello >=1" in shown
    assert json.loads(cli("show", "guest", "--json").stdout)["requires"] == {"hello": ">=1"}
    missing = cli("show", "nobody")
    assert missing.exit_code == 2
    assert missing.stderr.startswith("pegboard: no installed package offers a plugin named nobody")


def test_without_a_platform_the_file_is_written(installed: Workshop, cli: Cli, config: Path) -> None:
    enabled = cli("enable", "guest")

    assert (enabled.exit_code, enabled.stdout) == (0, "guest will be on when the platform starts\n")
    assert config.read_text() == "# Ours.\n[plugins.hello]\nenabled = true\n\n[plugins.guest]\nenabled = true\n"
    answer = json.loads(cli("disable", "guest", "--json").stdout)
    assert (answer["plugin"], answer["enabled"], answer["also"]) == ("guest", False, [])
    assert (answer["revision"], answer["state"], answer["reason"]) == (None, "written", None)


def test_a_cascade_names_whom_it_takes_along(installed: Workshop, cli: Cli) -> None:
    assert cli("enable", "guest").exit_code == 0

    told = cli("disable", "hello", "--cascade")
    assert told.stdout == "hello will be off when the platform starts (off with it: guest)\n"
    answer = json.loads(cli("enable", "guest", "--cascade", "--json").stdout)
    assert (answer["plugin"], answer["also"]) == ("guest", ["hello"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("disable", "hello"),
            "hello is needed by guest: disable it first, or all at once: `pegboard plugins disable hello --cascade`",
        ),
        (("enable", "broken"), "broken can't be enabled: importing"),
        (("enable", "nobody"), "No installed package offers a plugin named nobody: install it first."),
    ],
)
def test_what_cannot_work_is_one_line_and_status_2(
    installed: Workshop, cli: Cli, config: Path, arguments: tuple[str, ...], expected: str
) -> None:
    assert cli("enable", "guest").exit_code == 0
    before = config.read_text()
    refused = cli(*arguments)

    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"pegboard: {expected}")
    assert refused.stderr.count("\n") == 1
    assert config.read_text() == before


def test_a_variable_that_decides_is_named(installed: Workshop, cli: Cli) -> None:
    refused = cli("enable", "guest", PEGBOARD_PLUGINS__GUEST__ENABLED="false")

    assert refused.exit_code == 2
    assert "PEGBOARD_PLUGINS__GUEST__ENABLED is set and decides whether guest is on" in refused.stderr


def test_check_manifests_finds_what_is_wrong_in_all_that_is_installed(installed: Workshop, cli: Cli) -> None:
    installed.add("noisy", NOISY)
    installed.add("wrong", manifest='name = "wrong"\n')
    checked = cli("check-manifests", "--json")
    problems = json.loads(checked.stdout)["problems"]

    assert checked.exit_code == 2
    assert set(problems) == {"broken", "noisy", "wrong"}
    assert problems["noisy"] == "the permissions hook returns noisy:a.b and the manifest does not have it"
    assert "plugin.toml: summary: is required and missing" in problems["wrong"]


def test_check_manifests_is_content_with_what_is_right(workshop: Workshop, cli: Cli) -> None:
    workshop.add("hello")

    assert (cli("check-manifests").exit_code, cli("check-manifests").stdout) == (0, "ok\n")


@pytest.mark.parametrize("command", ["", "list", "show", "enable", "disable", "check-manifests"])
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    helped = cli(*command.split(), "--help").stdout

    assert "Example" in helped
    assert "pegboard plugins" in helped


def test_a_plan_that_cannot_be_applied_ends_a_script(installed: Workshop, cli: Cli) -> None:
    refused = cli("plan", "disable", "hello")
    assert refused.exit_code == 0, "nothing that is on needs it"
    assert cli("enable", "guest").exit_code == 0

    refused = cli("plan", "disable", "hello")
    assert refused.exit_code == 2
    assert "`pegboard plugins disable hello --cascade`" in refused.stdout
    assert cli("plan", "disable", "hello", "--json").exit_code == 2
    assert cli("plan", "disable", "hello", "--cascade").exit_code == 0


async def test_on_a_running_platform_it_waits_until_all_processes_swapped(
    postgres_url: str, redis_url: str, tmp_path: Path, installed: Workshop
) -> None:
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    try:
        platform, worker = await fleet.api(), await fleet.worker()
        env = {
            "PEGBOARD_DATABASE__URL": fleet.database_url,
            "PEGBOARD_REDIS__URL": os.environ[REDIS],
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
        }

        async def plugins(*arguments: str) -> Result:
            command = ["--config", str(fleet.file), "plugins", *arguments]
            return await asyncio.to_thread(CliRunner().invoke, main, command, env=env)

        enabled = await plugins("enable", "hello")
        assert (enabled.exit_code, enabled.stdout) == (0, "hello is on\n"), enabled.stderr
        assert worker.plugins == ["hello"]
        assert [one.name for one in platform.registry.plugins] == ["kernel", "hello"]
        assert fleet.enabled() == {"hello"}
        active = (await overview(await make_operator(platform)))["active"]
        assert (active["origin"], active["plugins"]) == ("cli", ["hello"])
        listed = json.loads((await plugins("list", "--json")).stdout)
        assert listed["active"]["number"] == active["number"]
        assert sorted(one["kind"] for one in listed["processes"]) == ["api", "worker"]
    finally:
        await fleet.close()


async def test_in_safe_mode_it_says_that_it_will_be_on(
    postgres_url: str, redis_url: str, tmp_path: Path, installed: Workshop
) -> None:
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    safe = TestPlatform(msgspec.structs.replace(fleet.config(), safe_mode=True))
    await safe.start()
    try:
        env = {
            "PEGBOARD_DATABASE__URL": fleet.database_url,
            "PEGBOARD_REDIS__URL": os.environ[REDIS],
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
        }
        command = ["--config", str(fleet.file), "plugins", "enable", "hello"]
        enabled = await asyncio.to_thread(CliRunner().invoke, main, command, env=env)

        told = "hello will be on when the platform is started without safe mode, which leaves it out now\n"
        assert (enabled.exit_code, enabled.stdout) == (0, told), enabled.stderr
        assert fleet.enabled() == {"hello"}
        assert [one.name for one in safe.registry.plugins] == ["kernel"]
    finally:
        await safe.stop()
        await fleet.close()


UNWELL = """
from pegboard_sdk import hookimpl
from pegboard_sdk.health import HealthCheck

async def check(): return "no paper"

@hookimpl
def health_checks(): return [HealthCheck(name="printer", check=check)]
"""


async def test_what_could_not_be_turned_on_is_taken_back_from_the_file(
    postgres_url: str, tmp_path: Path, workshop: Workshop
) -> None:
    workshop.add("hello", UNWELL)
    fleet = Fleet(postgres_url, os.environ[REDIS], tmp_path / "config")
    await fleet.open()
    try:
        platform = await fleet.api()
        before = fleet.file.read_text()
        env = {
            "PEGBOARD_DATABASE__URL": fleet.database_url,
            "PEGBOARD_REDIS__URL": os.environ[REDIS],
            "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
        }
        command = ["--config", str(fleet.file), "plugins", "enable", "hello"]
        refused = await asyncio.to_thread(CliRunner().invoke, main, command, env=env)

        assert refused.exit_code == 2
        assert "could not be turned on, and nothing changed" in refused.stderr
        assert "no paper" in refused.stderr
        written = with_enabled(before, {"hello": False})
        assert fleet.file.read_text() == written
        found = await overview(await make_operator(platform))
        assert [one["conflict"] for one in found["processes"]] == [None]
    finally:
        await fleet.close()
