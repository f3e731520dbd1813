"""`docs/writing-a-plugin.md` prints files as they are: the scaffold's, and those of the plugin that the tests use."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from pegboard.cli import main
from pegboard.conformance.runner import check

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "contracts" / "thirdparty"
PRINTED = re.compile(r"\*\*`(?P<path>[^`]+)`\*\*\n\n```[a-z]+\n(?P<text>.*?)```\n", re.DOTALL)
TODAY = "2026_11_24"
OWN = "pegboard_reviews/screening.py"
"""What the page adds to the scaffold."""


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "writing-a-plugin.md").read_text()


@pytest.fixture
def project(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's first command makes."""
    monkeypatch.chdir(tmp_path)
    command = re.search(r"^pegboard (plugins new .*)$", page, re.MULTILINE)
    assert command
    made = CliRunner().invoke(main, shlex.split(command[1]))
    assert made.exit_code == 0, made.output
    return tmp_path / "pegboard-reviews"


def test_each_file_is_printed_as_it_is(page: str, project: Path) -> None:
    today = datetime.now(UTC)
    printed = {match["path"]: match["text"] for match in PRINTED.finditer(page)}
    assert len(printed) > 10
    for path, text in printed.items():
        if path == OWN:
            continue
        file = (
            EXAMPLE / path if path.startswith("pegboard_hello/") else project / path.replace(TODAY, f"{today:%Y_%m_%d}")
        )
        written = file.read_text().replace(f'ID = "{today:%Y-%m-%d}T', f'ID = "{TODAY.replace("_", "-")}T')
        assert text == written, f"{path} differs from what docs/writing-a-plugin.md prints"


def test_each_file_of_the_scaffold_is_explained(page: str, project: Path) -> None:
    for path in project.rglob("*"):
        if path.is_file() and path.name not in ("__init__.py", "py.typed"):
            assert path.name in page or f"{path.parent.name}/" in page, path


async def test_what_it_adds_to_the_scaffold_keeps_the_rules(page: str, project: Path) -> None:
    package = project / "pegboard_reviews"
    printed = {match["path"]: match["text"] for match in PRINTED.finditer(page)}
    (project / OWN).write_text(printed[OWN])
    capabilities = re.search(r"```toml\n(\[capabilities\]\n.*?)```", page[page.index("Others' services") :], re.DOTALL)
    assert capabilities
    manifest = (package / "plugin.toml").read_text()
    (package / "plugin.toml").write_text(manifest[: manifest.index("[capabilities]")] + capabilities[1])
    jobs = (package / "jobs.py").read_text().replace("JOBS = (FORGET_NOTES,)", "JOBS = (FORGET_NOTES, SCREEN_NOTE)")
    imported = "from pegboard_reviews.screening import SCREEN_NOTE\n"
    (package / "jobs.py").write_text(
        jobs.replace("from pegboard_reviews.settings", f"{imported}from pegboard_reviews.settings")
    )
    plugin = package / "plugin.py"
    plugin.write_text(plugin.read_text().replace("EventHandler, Job,", "EventHandler, ExternalJob, Job,"))
    plugin.write_text(plugin.read_text().replace("Sequence[Job]:", "Sequence[Job | ExternalJob]:"))
    with (project / "README.md").open("a") as readme:
        readme.write("\nThe job `screen_note` needs the secret `screening_key`.\n")

    report = await check(str(project), platform=False)

    failed = {one.rule.id: one.findings for one in report.results if one.state == "failed"}
    assert failed == {}


def test_nothing_needs_an_import_that_the_sdk_spares(page: str) -> None:
    assert "from litestar" not in page
    assert "(reference/hooks.md)" in page
