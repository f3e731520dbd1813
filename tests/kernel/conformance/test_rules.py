"""Each rule names a plugin that breaks it, and a plugin that breaks one rule breaks no other."""

from pathlib import Path

import pytest
from pegboard.conformance.catalog import all_rules
from pegboard.conformance.child import judge
from pegboard.conformance.locate import locate
from pegboard.conformance.rule import TIERS
from pegboard.conformance.runner import check

from tests.kernel.conformance.breakages import FILES, GATES, IMPORT, PLATFORM, PluginCopy

RULES = {rule.id: rule for rule in all_rules()}


@pytest.fixture
def plugin(tmp_path: Path) -> PluginCopy:
    return PluginCopy(tmp_path)


@pytest.mark.parametrize("name", FILES)
async def test_files_that_break_one_rule_break_no_other(plugin: PluginCopy, tmp_path: Path, name: str) -> None:
    FILES[name](plugin)
    project = locate(str(plugin.root), tmp_path / "scratch")
    rules = [rule for rule in RULES.values() if rule.needs == "files" and rule.applies(project) is None]

    broken = {rule.id for rule in rules if (await judge(rule, project)).state == "failed"}

    assert broken == {name}


@pytest.mark.parametrize("name", IMPORT)
async def test_what_a_plugin_brings_breaks_one_rule(plugin: PluginCopy, name: str) -> None:
    IMPORT[name](plugin)
    only = {rule.id for rule in RULES.values() if rule.needs == "import"}

    report = await check(str(plugin.root), only=only, platform=False)

    assert {one.rule.id for one in report.results if one.state == "failed"} == {name}
    assert report.count("not_run") == 0


@pytest.mark.parametrize("name", ["manifest.valid", "code.parses", "loading.imports", "loading.manifest_kept"])
async def test_what_comes_after_a_closed_gate_is_not_run(plugin: PluginCopy, name: str) -> None:
    GATES[name](plugin)

    report = await check(str(plugin.root), platform=False)

    failed = [one for one in report.results if one.state == "failed"]
    assert [one.rule.id for one in failed] == [name]
    assert failed[0].findings
    later = [one for one in report.results if one.rule.needs == "platform"]
    assert {(one.state, one.reason) for one in later} == {("not_run", f"{name} failed")}
    assert report.tier is None


async def test_what_implements_the_sdk_needs_no_docstring_of_its_own(plugin: PluginCopy, tmp_path: Path) -> None:
    plugin.add(
        "service.py",
        'from pegboard_sdk.services import Consent\n\n\nclass Postcards(Consent):\n    """On postcards."""\n\n'
        "    async def has(self) -> None:\n        pass\n\n    async def stamp(self) -> None:\n        pass\n",
    )

    line = await judge(RULES["documentation.docstrings"], locate(str(plugin.root), tmp_path / "scratch"))

    assert [one.text for one in line.findings] == ["stamp has no docstring"]


def test_every_rule_is_tried() -> None:
    tried = {*FILES, *GATES, *IMPORT, *PLATFORM}
    # Those that put faults in are tried where they are made.
    rest = {rule for rule in RULES if not rule.startswith("faults.")} - {"stability.deprecated", "tenancy.routes"}

    assert tried == rest


def test_every_rule_tells_people_what_they_need() -> None:
    for rule in RULES.values():
        assert rule.tier in TIERS
        assert not rule.title.endswith("."), rule.id
        for text in (rule.why, rule.fix):
            assert text.endswith((".", ")")), rule.id
            assert len(text) > 30, rule.id
