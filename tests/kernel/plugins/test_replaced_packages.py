"""While an upgrade is installed and the processes run the old code, whatever doesn't need the new code can be done."""

import re

import pytest

from tests.kernel.plugins.hello import HELLO, all_equal, decided, status, toggle
from tests.support.fleet import Fleet, operator, until
from tests.support.platform import TestPlatform
from tests.support.workshop import Workshop

SETTINGS = """
import msgspec

class Settings(msgspec.Struct, frozen=True):
    greeting: str = "hello"
"""


@pytest.fixture
def replaced(fleet: Fleet, workshop: Workshop) -> Workshop:
    """The plugins hello, which is on, and other."""
    workshop.add("hello", HELLO, settings="PACKAGE.settings:Settings", files={"settings.py": SETTINGS})
    workshop.add("other", HELLO.replace("hello", "other"))
    fleet.config()
    fleet.write("[plugins.hello]\nenabled = true\n\n[plugins.other]\nenabled = true\n")
    return workshop


def upgrade(workshop: Workshop, fleet: Fleet) -> None:
    """Install hello 2.0.0, whose code can't even be imported, and write what only it knows into its settings."""
    package = workshop.folder / workshop.packages["hello"]
    manifest = package / "plugin.toml"
    manifest.write_text(re.sub(r'version = "1.0.0"', 'version = "2.0.0"', manifest.read_text()))
    (package / "plugin.py").write_text("raise RuntimeError('new code')\n")
    text = fleet.file.read_text()
    fleet.write(text.replace("[plugins.hello]\n", "[plugins.hello]\nnew_key = 1\n"))


async def test_others_are_turned_off_and_on(fleet: Fleet, replaced: Workshop) -> None:
    first, worker = await fleet.api(), await fleet.worker()
    account = await operator(first)
    upgrade(replaced, fleet)

    for enabled, expected in ((False, 404), (True, 200)):
        revision = await decided(account, (await toggle(account, "other", enabled))["number"])
        assert (revision["state"], revision["reason"]) == ("active", None)
        await until(lambda expected=expected: _answers(first, expected))
    assert await status(first) == 200
    assert sorted(worker.plugins) == ["hello", "other"]


async def test_it_can_be_turned_off_and_not_on_again_before_a_restart(fleet: Fleet, replaced: Workshop) -> None:
    platform = await fleet.api()
    account = await operator(platform)
    package = replaced.folder / replaced.packages["hello"]
    manifest = package / "plugin.toml"
    manifest.write_text(manifest.read_text().replace("1.0.0", "2.0.0"))

    assert (await decided(account, (await toggle(account, "hello", False))["number"]))["state"] == "active"
    await until(lambda: all_equal(404, platform))
    revision = await decided(account, (await toggle(account, "hello", True))["number"])

    assert revision["state"] == "failed"
    assert "version 2.0.0 is installed and this process still runs the code of 1.0.0" in revision["reason"]
    assert "restart the platform's processes one after the other" in revision["reason"]


async def _answers(platform: TestPlatform, expected: int) -> bool:
    return await status(platform, "/api/v1/other/greetings") == expected
