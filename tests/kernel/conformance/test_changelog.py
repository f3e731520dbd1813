"""A changelog has a section on the version that the manifest says."""

from pathlib import Path

import pytest
from pegboard.conformance.child import judge
from pegboard.conformance.locate import locate
from pegboard.conformance.rules.documentation import RULES

from tests.kernel.conformance.breakages import PluginCopy

CHANGELOG = next(rule for rule in RULES if rule.id == "documentation.changelog")


async def findings(folder: Path, text: str) -> list[str]:
    plugin = PluginCopy(folder)
    (plugin.root / "CHANGELOG.md").write_text(text)
    line = await judge(CHANGELOG, locate(str(plugin.root), folder / "scratch"))
    return [str(one) for one in line.findings]


@pytest.mark.parametrize(
    "text",
    [
        "## 1.0.0\n",
        "## [1.0.0] - 2026-11-24\n",
        "# v1.0.0 (not released yet)\n",
        "1.0.0\n=====\n",
        "## Version 1.0.0.\n",
    ],
)
async def test_any_usual_title_will_do(tmp_path: Path, text: str) -> None:
    assert await findings(tmp_path, f"# Changes\n\n{text}\n- All.\n") == []


@pytest.mark.parametrize(
    "text",
    ["## 0.9.0\n\n- To come in 1.0.0: all.\n", "## 1.0.0rc1\n", "## 1.0.0.1\n", "## 11.0.0\n", "## Unreleased\n"],
)
async def test_another_version_s_section_will_not(tmp_path: Path, text: str) -> None:
    assert await findings(tmp_path, text) == ["CHANGELOG.md: has no section on version 1.0.0, which the manifest says"]
