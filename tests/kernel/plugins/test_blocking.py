"""Pins and blocks in `plugins.toml` are judged before any of a plugin's code runs."""

import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pegboard.cli import main
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.plugins.content import ContentUnknown, content_hash
from pegboard.plugins.discovery import Candidate, discover
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import SkippedPlugin

from tests.support.workshop import Workshop

BLOCK = """\
[plugins.hello]
enabled = true
blocked = [{{ versions = "{0}", reason = "loses postings", last_good = "0.9" }}]
"""


def configured(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "plugins.toml"
    path.write_text(text)
    return load_config(path, {})


def candidate(workshop: Workshop, name: str = "hello") -> Candidate:
    return discover(workshop.distributions()).candidates[name]


def only(workshop: Workshop, config: Config) -> SkippedPlugin:
    (one,) = [
        one for one in load_plugins(config, distributions=workshop.distributions()).skipped if one.name == "hello"
    ]
    return one


def test_a_blocked_version_is_not_imported_and_names_the_last_good_one(workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello", "raise SystemExit('imported')")
    found = only(workshop, configured(tmp_path, BLOCK.format(">=1,<1.4.3")))

    assert found.state == "blocked"
    assert found.reason == (
        "version 1.0.0 is blocked in plugins.toml (>=1,<1.4.3): loses postings."
        " Install another version (the last good one is 0.9), or end the block with `pegboard plugins unblock hello`"
    )
    assert not workshop.imported("hello")


def test_another_version_is_not_blocked(workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello")
    config = configured(tmp_path, BLOCK.format(">=1.4,<1.4.3"))

    registry = load_plugins(config, distributions=workshop.distributions())
    assert [plugin.name for plugin in registry.plugins] == ["kernel", "hello"]


def test_the_pinned_files_are_loaded_and_no_others(workshop: Workshop, tmp_path: Path) -> None:
    package = workshop.add("hello")
    pinned = content_hash(candidate(workshop))
    config = configured(tmp_path, f'[plugins.hello]\nenabled = true\npin = "{pinned}"\n')
    assert [one.name for one in load_plugins(config, distributions=workshop.distributions()).plugins] == [
        "kernel", "hello",
    ]  # fmt: skip

    (workshop.folder / package / "sneaked_in.py").write_text("import os\n")
    found = only(workshop, config)
    assert found.state == "blocked"
    assert found.reason.startswith(f"its files are not the pinned ones: plugins.toml says {pinned} and version 1.0.0")
    assert "`pegboard plugins pin hello`" in found.reason


def test_strict_refuses_to_start_without_a_blocked_plugin(workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello")
    config = configured(tmp_path, "[pegboard]\nstrict = true\n" + BLOCK.format(">=1"))

    with pytest.raises(ConfigError, match=r"is blocked in plugins\.toml"):
        load_plugins(config, distributions=workshop.distributions())


def test_who_requires_a_blocked_plugin_is_off_and_says_why(workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello")
    workshop.add("guest", requires={"hello": ">=1"})
    config = configured(tmp_path, BLOCK.format(">=1") + "[plugins.guest]\nenabled = true\n")
    registry = load_plugins(config, distributions=workshop.distributions())

    states = {one.name: (one.state, one.reason) for one in registry.skipped}
    assert states["guest"][0] == "failed"
    assert states["guest"][1].startswith("it requires hello >=1, which is off: version 1.0.0 is blocked")


def test_the_hash_is_of_the_files_not_of_the_installation(workshop: Workshop, tmp_path: Path) -> None:
    package = workshop.add("hello")
    before = content_hash(candidate(workshop))

    cache = workshop.folder / package / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "plugin.cpython-311.pyc").write_bytes(b"other")
    info = next(workshop.folder.glob("*.dist-info"))
    (info / "INSTALLER").write_text("another")
    (info / "direct_url.json").write_text("{}")
    assert content_hash(candidate(workshop)) == before

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(workshop.folder, elsewhere)
    moved = discover(list(importlib.metadata.distributions(path=[str(elsewhere)]))).candidates["hello"]
    assert content_hash(moved) == before

    (workshop.folder / package / "plugin.py").write_text("# changed\n")
    assert content_hash(candidate(workshop)) != before


def test_files_beside_the_package_count_too(workshop: Workshop) -> None:
    package = workshop.add("hello")
    info = next(workshop.folder.glob("*.dist-info"))
    (workshop.folder / "beside.py").write_text("VALUE = 1\n")
    (info / "RECORD").write_text(f"{package}/plugin.py,,\nbeside.py,,\n../../../bin/hello,,\n{info.name}/RECORD,,\n")
    before = content_hash(candidate(workshop))

    (workshop.folder / "beside.py").write_text("VALUE = 2\n")
    assert content_hash(candidate(workshop)) != before


def test_a_link_to_a_folder_cannot_be_judged(workshop: Workshop, tmp_path: Path) -> None:
    package = workshop.add("hello")
    (workshop.folder / package / "inside").symlink_to(tmp_path)

    with pytest.raises(ContentUnknown, match="is a link to a folder"):
        content_hash(candidate(workshop))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('pin = "sha256:xyz"', "must look like"),
        ("pin = 1", "expected text"),
        ('blocked = [{ versions = "about 1", reason = "bad" }]', "is not a version range"),
        ('blocked = [{ versions = "", reason = "bad" }]', "a block names its versions"),
        ('blocked = [{ versions = ">=1" }]', "missing key"),
        ('blocked = [{ versions = ">=1", reason = " " }]', "a block says its reason"),
        ('blocked = [{ versions = ">=1", reason = "bad", lastgood = "1" }]', "unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        configured(tmp_path, f"[plugins.hello]\nenabled = true\n{line}\n")

    assert reason in str(raised.value)
    assert "plugins.toml:3" in str(raised.value)


def test_a_plugins_settings_cannot_have_the_kernels_names(workshop: Workshop) -> None:
    workshop.add(
        "hello",
        settings="PACKAGE.settings:Settings",
        files={"settings.py": "import msgspec\nclass Settings(msgspec.Struct, frozen=True):\n    pin: str = ''\n"},
    )
    (found,) = workshop.load("hello").skipped

    assert "has fields with names of the kernel (pin): rename them" in found.reason


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config), "plugins", *arguments])


def test_the_commands_edit_the_file_and_keep_its_comments(workshop: Workshop, tmp_path: Path) -> None:
    workshop.add("hello")
    config = tmp_path / "plugins.toml"
    written = "# Ours.\n[plugins.hello]  # greets\nenabled = true  # since May\n"
    config.write_text(written)

    printed = run(config, "hash", "hello").stdout.strip()
    assert run(config, "pin", "hello").stdout == f"hello 1.0.0 is pinned to {printed}\n"
    assert config.read_text() == f'{written}pin = "{printed}"\n'
    listed = json.loads(run(config, "list", "--json").stdout)["plugins"]
    assert {one["name"]: one["state"] for one in listed}["hello"] == "enabled"

    blocked = run(config, "block", "hello", "--versions", "==1.0.0", "--reason", "it greets", "--last-good", "0.9")
    assert (blocked.exit_code, blocked.stdout) == (0, "hello ==1.0.0 is blocked\n")
    assert run(config, "block", "hello", "--versions", ">=3", "--reason", "untested").exit_code == 0
    assert [(one.versions, one.last_good) for one in load_config(config, {}).plugins["hello"].blocked] == [
        ("==1.0.0", "0.9"), (">=3", ""),
    ]  # fmt: skip
    listed = json.loads(run(config, "list", "--json").stdout)["plugins"]
    assert {one["name"]: one["state"] for one in listed}["hello"] == "blocked"
    refused = run(config, "enable", "hello")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("pegboard: hello can't be enabled: version 1.0.0 is blocked")

    assert run(config, "unblock", "hello", "--versions", "==1.0.0").exit_code == 0
    assert run(config, "unblock", "hello", "--versions", "==1.0.0").exit_code == 2
    assert run(config, "unblock", "hello").exit_code == 0
    assert run(config, "unpin", "hello").exit_code == 0
    assert run(config, "unpin", "hello").stderr == "pegboard: hello is not pinned\n"
    assert config.read_text() == written


def test_a_plugin_that_the_file_does_not_name_can_be_blocked_beforehand(tmp_path: Path) -> None:
    config = tmp_path / "plugins.toml"
    config.write_text("")

    assert run(config, "block", "stranger", "--versions", ">=1", "--reason", "unknown author").exit_code == 0
    entry = load_config(config, {}).plugins["stranger"]
    assert (entry.enabled, entry.blocked[0].reason) == (False, "unknown author")
