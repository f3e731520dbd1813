"""Whatever another plugin's packages are called, importing them is found."""

from pathlib import Path

import pytest
from pegboard.conformance.child import judge
from pegboard.conformance.locate import locate
from pegboard.conformance.rules.boundaries import RULES

from tests.kernel.conformance.breakages import PluginCopy

NOT_OTHERS = next(rule for rule in RULES if rule.id == "boundaries.plugins")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin `calendar`, of a distribution that brings two packages of other names, and a library."""
    site = tmp_path / "site"
    for name, packages, entry_points in (
        ("acme_dates", ("acme_planner", "acme_planner_core"), "[pegboard.plugins]\ndates = acme_planner.plugin\n"),
        ("acme_library", ("acme_library",), ""),
    ):
        info = site / f"{name}-1.0.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        (info / "top_level.txt").write_text("\n".join(packages))
    monkeypatch.syspath_prepend(str(site))


async def findings(folder: Path, statement: str) -> list[str]:
    plugin = PluginCopy(folder)
    (plugin.package / "borrowed.py").write_text(statement)
    line = await judge(NOT_OTHERS, locate(str(plugin.root), folder / "scratch"))
    return [one.text for one in line.findings]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("from acme_planner.service import Dates", "imports acme_planner.service of the plugin dates"),
        ("import acme_planner_core", "imports acme_planner_core of the plugin dates"),
        ("import pegboard_finance.service", "imports pegboard_finance.service of the plugin finance"),
        # The manifest requires it, installed or not.
        ("import creation_studio", "imports creation_studio of the plugin creation_studio"),
        (
            "def late():\n    from pegboard_creation_studio import tables",
            "imports pegboard_creation_studio of the plugin creation_studio",
        ),
    ],
)
@pytest.mark.usefixtures("installed")
async def test_what_is_another_plugin_s_is_named(tmp_path: Path, statement: str, found: str) -> None:
    assert await findings(tmp_path, statement) == [found]


@pytest.mark.parametrize(
    "statement",
    ["import acme_library", "from pegboard_hello import tables", "from . import tables", "import pegboard_sdk"],
)
@pytest.mark.usefixtures("installed")
async def test_what_is_nobody_s_or_its_own_is_not(tmp_path: Path, statement: str) -> None:
    assert await findings(tmp_path, statement) == []
