"""Whatever a plugin does to the process that it runs in is a failure with a name, and the rest is judged."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pegboard.cli import main
from pegboard.conformance.locate import NotAPluginError, locate
from pegboard.conformance.results import Report, Result
from pegboard.conformance.runner import check

from tests.kernel.conformance.breakages import FILES, IMPORT, PluginCopy
from tests.support.scratch import build_wheel

LAST = ("documentation.readme", "migrations.named")
"""What has to be broken after all else: it takes away what the others change."""


@pytest.fixture
def plugin(tmp_path: Path) -> PluginCopy:
    return PluginCopy(tmp_path)


def result(report: Report, name: str) -> Result:
    return next(one for one in report.results if one.rule.id == name)


@pytest.mark.parametrize("code", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
async def test_a_plugin_that_ends_the_interpreter_is_named(plugin: PluginCopy, code: str) -> None:
    plugin.add("plugin.py", f"import os\n{code}")

    report = await check(str(plugin.root), platform=False)

    assert "ended the process" in str(result(report, "loading.imports").findings[0])
    assert result(report, "jobs.bounded").state == "not_run"
    assert result(report, "manifest.valid").state == "passed"


async def test_a_plugin_that_hangs_when_it_is_imported_is_named(plugin: PluginCopy) -> None:
    plugin.add("plugin.py", "import threading\nthreading.Event().wait()")

    report = await check(str(plugin.root), platform=False, patience=8.0)

    assert "hung" in str(result(report, "loading.imports").findings[0])


async def test_a_plugin_that_leaves_by_a_hook_is_named(plugin: PluginCopy) -> None:
    plugin.replace("plugin.py", "    return EVENT_HANDLERS", '    raise SystemExit("enough")')

    report = await check(str(plugin.root), platform=False)

    assert "event_handlers raised SystemExit: enough" in str(result(report, "loading.imports").findings[0])


async def test_what_the_plugin_prints_disturbs_nobody(plugin: PluginCopy) -> None:
    plugin.add("plugin.py", 'print("{not json")')

    report = await check(str(plugin.root), only={"jobs.bounded"}, platform=False)

    assert result(report, "jobs.bounded").state == "passed"


async def test_a_deliberately_bad_plugin_fails_with_each_rule_named(plugin: PluginCopy) -> None:
    breaks = {**FILES, **IMPORT}
    del breaks["migrations.present"]  # without migrations the other rules on them have nothing to look at
    for name in sorted(breaks, key=lambda one: one in LAST):
        breaks[name](plugin)

    report = await check(str(plugin.root), platform=False)

    assert {one.rule.id for one in report.results if one.state == "failed"} == set(breaks)
    assert report.tier is None


async def test_a_wheel_is_judged_without_its_project(plugin: PluginCopy, tmp_path: Path) -> None:
    wheel = build_wheel(plugin.root, tmp_path / "dist")

    report = await check(str(wheel), platform=False)

    assert (report.plugin, report.version) == ("hello", "1.0.0")
    assert report.count("failed") == 0
    assert result(report, "packaging.tests").state == "not_applicable"
    assert result(report, "migrations.named").state == "passed"


async def test_a_src_layout_is_found(plugin: PluginCopy) -> None:
    (plugin.root / "src").mkdir()
    plugin.package.rename(plugin.root / "src" / "pegboard_hello")
    plugin.package = plugin.root / "src" / "pegboard_hello"
    plugin.replace("/pyproject.toml", 'packages = ["pegboard_hello"]', 'packages = ["src/pegboard_hello"]')

    report = await check(str(plugin.root), platform=False)

    assert [one.rule.id for one in report.results if one.state == "failed"] == []


def test_what_is_no_plugin_says_what_to_name(tmp_path: Path) -> None:
    for target in ("nobody_has_this", str(tmp_path), str(tmp_path / "missing.whl")):
        with pytest.raises(NotAPluginError):
            locate(target, tmp_path / "scratch")


def test_the_command_tells_programs_and_people(plugin: PluginCopy) -> None:
    FILES["packaging.typed"](plugin)
    command = ["plugins", "check", str(plugin.root), "--no-platform"]

    told = CliRunner().invoke(main, command)
    gold = CliRunner().invoke(main, [*command, "--tier", "gold", "--json"])

    assert told.exit_code == 0, told.output
    assert "py.typed: is missing" in told.output
    assert "fix: Put an empty file py.typed into the package." in told.output
    assert gold.exit_code == 1
    answer = json.loads(gold.output)
    assert [rule["id"] for rule in answer["rules"] if rule["state"] == "failed"] == ["packaging.typed"]
    assert CliRunner().invoke(main, ["plugins", "check", "nobody_has_this"]).exit_code == 2
    assert CliRunner().invoke(main, ["plugins", "check", ".", "--rule", "no.rule"]).exit_code == 2
    assert "bronze  manifest.valid" in CliRunner().invoke(main, ["plugins", "check", "--list-rules"]).output
