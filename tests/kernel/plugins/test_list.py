"""`pegboard plugins list`, and the API's, say what the processes run, and beside it what waits."""

import asyncio
import json
import os
import re
from typing import Any

import pytest
from click.testing import CliRunner
from pegboard.cli import main

from tests.kernel.plugins.hello import HELLO, URL
from tests.support.fleet import Fleet, operator, overview
from tests.support.platform import Account, TestPlatform
from tests.support.servers import MASTER_KEY, REDIS
from tests.support.workshop import Workshop

SETTINGS = """
import msgspec

class Settings(msgspec.Struct, frozen=True):
    greeting: str = "hello"
"""
ON = "[plugins.hello]\nenabled = true\n"


@pytest.fixture
def installed(fleet: Fleet, workshop: Workshop) -> Workshop:
    """The plugin hello, which is on."""
    workshop.add("hello", HELLO, settings="PACKAGE.settings:Settings", files={"settings.py": SETTINGS})
    fleet.config()
    fleet.write(ON)
    return workshop


async def listed(fleet: Fleet, *arguments: str) -> Any:
    """What the command says."""
    env = {
        "PEGBOARD_DATABASE__URL": fleet.database_url,
        "PEGBOARD_REDIS__URL": os.environ[REDIS],
        "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
    }
    command = ["--config", str(fleet.file), "plugins", "list", *arguments]
    ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=env)
    assert ended.exit_code == 0, ended.output
    return ended


async def hello_of(fleet: Fleet, account: Account, name: str = "hello") -> tuple[str, str, str | None, str | None]:
    """Version, state, reason and what waits: the same from the command and the API."""
    shown = json.loads((await listed(fleet, "--json")).stdout)
    assert shown["source"] == "processes"
    told = []
    for plugins in (shown["plugins"], (await overview(account))["plugins"]):
        (one,) = (one for one in plugins if one["name"] == name)
        told.append((one["version"], one["state"], one["reason"], one["next"]))
    assert told[0] == told[1]
    return told[0]


async def serves(platform: TestPlatform) -> bool:
    return (await platform.client().get(URL)).status_code == 200


async def test_a_wrong_setting_is_what_the_next_start_would_refuse(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    assert await hello_of(fleet, account) == ("1.0.0", "enabled", None, None)

    fleet.write(f"{ON}greting = 'hi'\n")

    version, state, reason, following = await hello_of(fleet, account)
    assert (version, state, reason) == ("1.0.0", "enabled", None)
    assert following is not None
    assert following.startswith("settings wrong: ")
    assert "greting" in following
    assert following.endswith("; still serving as before")
    assert await serves(platform)


async def test_an_upgrade_is_applied_and_then_waits_for_a_restart(fleet: Fleet, installed: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    manifest = installed.folder / installed.packages["hello"] / "plugin.toml"
    manifest.write_text(re.sub(r'version = "1.0.0"', 'version = "1.1.0"', manifest.read_text()))

    upgrade = "upgrade 1.1.0 installed, not applied: run `pegboard plugins plan upgrade hello`"
    assert await hello_of(fleet, account) == ("1.0.0", "enabled", None, upgrade)
    lines = (await listed(fleet)).stdout.splitlines()
    assert any(line.strip() == f"→ {upgrade}" for line in lines)

    plans = "/api/v1/admin/plugins/plans"
    made = (await account.client.post(plans, json={"upgrade": ["hello"]})).json()
    applied = await account.client.post(f"{plans}/{made['id']}/apply")
    assert applied.status_code == 202, applied.text

    restart = "upgrade 1.1.0 applied: restart the processes one after the other"
    assert await hello_of(fleet, account) == ("1.0.0", "enabled", None, restart)
    assert await serves(platform)


async def test_what_a_process_left_out_it_says_why(fleet: Fleet, installed: Workshop) -> None:
    fleet.write(f"{ON}greting = 'hi'\n")
    account = await operator(await fleet.api())

    _, state, reason, _ = await hello_of(fleet, account)
    assert state == "failed"
    assert reason is not None
    assert reason.startswith("its settings are wrong: ")

    fleet.write(ON)
    _, state, _, following = await hello_of(fleet, account)
    assert state == "failed"
    assert following == "its settings are right now: it comes on with a restart, or the next change of plugins"


async def test_what_is_not_installed_is_not_just_off(fleet: Fleet, installed: Workshop) -> None:
    fleet.write(f"{ON}\n[plugins.gone]\nenabled = false\n")
    account = await operator(await fleet.api())

    _, state, reason, _ = await hello_of(fleet, account, "gone")
    assert state == "not_installed"
    assert reason == "no installed package offers it, and it is off: install it, or remove it from plugins.toml"


async def test_without_a_platform_it_says_so_and_judges_files(fleet: Fleet, installed: Workshop) -> None:
    fleet.write(f"{ON}\n[plugins.gone]\nenabled = false\n")
    ended = await listed(fleet)

    assert "no platform is running: this is what plugins.toml and the installed packages say" in ended.stderr
    states = {line.split()[0]: line for line in ended.stdout.splitlines()}
    assert "enabled" in states["hello"]
    assert "not_installed" in states["gone"]
    assert json.loads((await listed(fleet, "--json")).stdout)["source"] == "files"
